//! Mixtures: which recipes a detector is trained with, and how often each is followed.
//!
//! ```
//! # use atomlens_dataset::Mixture;
//! let mixture = Mixture::bundled("metal-particles").unwrap();
//! assert_eq!(mixture.labels.species(), ["metal", "support"]);
//! ```

use atomlens_core::Distribution;
use serde::{Deserialize, Serialize};

use super::Labels;
use crate::recipe::FocalSeriesSettings;
use crate::{DatasetError, Recipe};

/// A file that comes with the program.
type Bundled = (&'static str, &'static str);

macro_rules! bundled {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../../../../recipes/training/", $name, ".toml")))),*]
    };
}

/// The mixtures that come with the program: name and text.
pub const MIXTURES: [Bundled; 4] = bundled!["metal-particles", "metal-movies", "single-layers", "layer-series"];

/// The recipes that they name.
const RECIPES: [Bundled; 6] = bundled![
    "metal-bare",
    "metal-on-carbon",
    "metal-on-oxide",
    "layer-graphene",
    "layer-boron-nitride",
    "layer-dichalcogenide",
];

/// Several recipes, mixed.
#[derive(Debug, Clone, PartialEq)]
pub struct Mixture {
    /// What it is called.
    pub name: String,
    /// What a detector trained with it is for.
    pub description: String,
    /// Which columns are asked for.
    pub labels: Labels,
    /// Pixels of a training image along each side; even.
    pub field_px: usize,
    /// Pairs made of one exit wave.
    pub images_per_wave: u64,
    /// Distance between the pixels of the camera, drawn for every image, in angstrom.
    pub pixel_size_angstrom: Distribution,
    /// Where a pair shows frames of a movie rather than one image.
    pub window: Option<WindowSettings>,
    /// Part of the focal series that lack one or more of their images.
    pub missing_image_fraction: f64,
    /// Whether the wave behind the specimen is asked for.
    pub wave: bool,
    /// Whether every true column is given the least error that its place can be known with. Not in the file: it takes time,
    /// and only those who judge a detector want it.
    pub with_bounds: bool,
    /// The recipes.
    pub parts: Vec<Part>,
}

/// A recipe of a mixture.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// The recipe.
    pub recipe: Recipe,
    /// How often it is followed and what is changed.
    pub settings: PartSettings,
}

/// How often a recipe is followed and how its specimens are changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartSettings {
    /// Name of the recipe.
    pub recipe: String,
    /// How often it is followed, relative to the others.
    pub weight: f64,
    /// Part of the specimens that have no body: a film or nothing.
    #[serde(default)]
    pub blank_fraction: f64,
    /// Columns at the edge that are missing or thin.
    #[serde(default)]
    pub edge: EdgeSettings,
    /// Columns at the edge that come and go, where a pair shows frames of a movie.
    #[serde(default)]
    pub switching: SwitchingSettings,
    /// Distance between the pixels of the camera where it is not the mixture's, in angstrom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pixel_size_angstrom: Option<Distribution>,
    /// What replaces the recipe's own, key by key, as `change.wave.energy_kev = 80`. A table with the key `kind` replaces
    /// one of another kind as a whole, and so does a distribution.
    #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
    pub change: toml::Table,
}

/// How many of the columns at a particle's edge are missing or thin; each drawn once a specimen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EdgeSettings {
    /// Part of the columns that are missing.
    pub removed_fraction: Distribution,
    /// Part of the columns that have one to three atoms.
    pub thinned_fraction: Distribution,
}

impl Default for EdgeSettings {
    fn default() -> Self {
        EdgeSettings { removed_fraction: 0.0.into(), thinned_fraction: 0.0.into() }
    }
}

/// Which of the columns at a particle's edge come and go in a window of frames.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SwitchingSettings {
    /// Part of the columns that do, drawn once a specimen.
    pub columns_fraction: Distribution,
    /// Of these, the part that never goes altogether, but down to one to three atoms.
    pub thinned_fraction: Distribution,
    /// Chance that such a column switches from one frame to the next, drawn for each of them in every pair.
    pub rate_per_frame: Distribution,
}

impl Default for SwitchingSettings {
    fn default() -> Self {
        SwitchingSettings { columns_fraction: 0.0.into(), thinned_fraction: 0.0.into(), rate_per_frame: 0.0.into() }
    }
}

/// Frames of a movie that a detector sees at once, to tell the columns of the one in the middle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WindowSettings {
    /// Their number; odd.
    pub frames: usize,
    /// Standard deviation, along x and along y, of what is wrong with the drift by which a frame is laid on the one in the middle;
    /// drawn once a window, in angstrom.
    #[serde(default = "none")]
    pub misalignment_angstrom: Distribution,
    /// Part of the frames that are laid wrongly, by up to 3 angstrom each way.
    #[serde(default)]
    pub misplaced_fraction: f64,
    /// Part of the windows at the beginning or end of a movie, which lack one frame or more there.
    #[serde(default)]
    pub cut_short_fraction: f64,
    /// Part of the frames that are missing though others are there before and after them.
    #[serde(default)]
    pub missing_fraction: f64,
    /// Part of the windows whose specimen moves so far that frames do not cover each other, by up to 2 angstrom a frame.
    #[serde(default)]
    pub moving_fraction: f64,
}

/// A mixture as its file has it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct MixtureFile {
    name: String,
    description: String,
    labels: Labels,
    #[serde(default = "default_field_px")]
    field_px: usize,
    #[serde(default = "default_images_per_wave")]
    images_per_wave: u64,
    pixel_size_angstrom: Distribution,
    #[serde(default)]
    focal_series: Option<FocalSeriesSettings>,
    #[serde(default)]
    window: Option<WindowSettings>,
    #[serde(default)]
    missing_image_fraction: f64,
    #[serde(default)]
    wave: bool,
    part: Vec<PartSettings>,
}

fn none() -> Distribution {
    0.0.into()
}
fn default_field_px() -> usize {
    256
}
fn default_images_per_wave() -> u64 {
    8
}

impl Mixture {
    /// One of the mixtures that come with the program.
    ///
    /// # Errors
    /// If there is none of that name.
    pub fn bundled(name: &str) -> Result<Mixture, DatasetError> {
        let found = MIXTURES.iter().find(|(known, _)| *known == name).ok_or_else(|| DatasetError::Value {
            key: "mixture",
            found: name.to_owned(),
            expected: format!("one of {}", MIXTURES.map(|(name, _)| name).join(", ")),
        })?;
        Mixture::parse(found.1, &|_| None)
    }

    /// Reads a mixture. `recipe_text` gives the text of a recipe by its name; where it does not know one, those that
    /// come with the program are looked through.
    ///
    /// # Errors
    /// Text that is no mixture, a recipe that is not known or wrong, values that make no sense.
    pub fn parse(text: &str, recipe_text: &dyn Fn(&str) -> Option<String>) -> Result<Mixture, DatasetError> {
        let file: MixtureFile = toml::from_str(text).map_err(|error| crate::recipe::explain(&error, text))?;
        let mut parts = Vec::new();
        for settings in file.part {
            let bundled =
                || RECIPES.iter().find(|(known, _)| *known == settings.recipe).map(|(_, text)| (*text).into());
            let text: String = recipe_text(&settings.recipe).or_else(bundled).ok_or_else(|| DatasetError::Value {
                key: "part.recipe",
                found: settings.recipe.clone(),
                expected: format!("a recipe's name, such as {}", RECIPES.map(|(name, _)| name).join(", ")),
            })?;
            let mut recipe = changed(&text, &settings.change)?;
            if file.focal_series.is_some() {
                recipe.optics.focal_series.clone_from(&file.focal_series);
                recipe.check()?;
            }
            parts.push(Part { recipe, settings });
        }
        let mixture = Mixture {
            name: file.name,
            description: file.description,
            labels: file.labels,
            field_px: file.field_px,
            images_per_wave: file.images_per_wave,
            pixel_size_angstrom: file.pixel_size_angstrom,
            window: file.window,
            missing_image_fraction: file.missing_image_fraction,
            wave: file.wave,
            with_bounds: false,
            parts,
        };
        mixture.check()?;
        Ok(mixture)
    }

    /// Images of every pair: 1, or the number of a focal series or of a window's frames.
    pub fn channels(&self) -> usize {
        self.parts.first().map_or(1, |part| channels(&part.recipe)) * self.frames()
    }

    /// Frames of every pair: 1, or the number of a window's.
    pub fn frames(&self) -> usize {
        self.window.as_ref().map_or(1, |window| window.frames)
    }

    /// Refuses what can be seen to be wrong before anything is drawn.
    pub fn check(&self) -> Result<(), DatasetError> {
        let wrong = |key: &'static str, found: String, expected: &str| {
            Err(DatasetError::Value { key, found, expected: expected.to_owned() })
        };
        if !(16..=4096).contains(&self.field_px) || !self.field_px.is_multiple_of(2) {
            return wrong("field_px", self.field_px.to_string(), "an even number from 16 to 4096");
        }
        if !(1..=1000).contains(&self.images_per_wave) {
            return wrong("images_per_wave", self.images_per_wave.to_string(), "1 to 1000");
        }
        if self.parts.is_empty() || self.parts.iter().map(|part| part.settings.weight).sum::<f64>() <= 0.0 {
            return wrong("part", format!("{} of them", self.parts.len()), "at least one with a weight above 0");
        }
        if let Some(window) = &self.window {
            window.check()?;
        }
        if !(0.0..=1.0).contains(&self.missing_image_fraction) {
            return wrong("missing_image_fraction", self.missing_image_fraction.to_string(), "a fraction from 0 to 1");
        }
        if let Labels::Columns(names) = &self.labels
            && !(1..=64).contains(&names.len())
        {
            return wrong("labels.columns", format!("{} names", names.len()), "1 to 64, such as Mo, S2 and S");
        }
        if self.wave && self.window.is_some() {
            return wrong("wave", "true".to_owned(), "false where the mixture has a [window] of frames");
        }
        for Part { recipe, settings } in &self.parts {
            if !(settings.weight >= 0.0 && settings.weight.is_finite()) {
                return wrong("part.weight", settings.weight.to_string(), "0 or more");
            }
            if !(0.0..=1.0).contains(&settings.blank_fraction) {
                return wrong("part.blank_fraction", settings.blank_fraction.to_string(), "a fraction from 0 to 1");
            }
            let edge = &settings.edge;
            if edge.removed_fraction.range().0 < 0.0
                || edge.thinned_fraction.range().0 < 0.0
                || edge.removed_fraction.range().1 + edge.thinned_fraction.range().1 > 1.0
            {
                let found = format!("{:?} and {:?}", edge.removed_fraction.range(), edge.thinned_fraction.range());
                return wrong("part.edge", found, "fractions that add up to at most 1");
            }
            let (low, high) = self.pixel_size_of(settings).range();
            if low < 0.02 || high > 0.5 {
                return wrong("pixel_size_angstrom", format!("{low} to {high}"), "0.02 to 0.5 angstrom");
            }
            if recipe.dynamics.is_some() {
                return wrong(
                    "part.recipe",
                    recipe.name.clone(),
                    "a recipe without dynamics; part.switching makes columns come and go",
                );
            }
            let switching = &settings.switching;
            for (key, fraction) in [
                ("part.switching.columns_fraction", &switching.columns_fraction),
                ("part.switching.thinned_fraction", &switching.thinned_fraction),
                ("part.switching.rate_per_frame", &switching.rate_per_frame),
            ] {
                let (low, high) = fraction.range();
                if low < 0.0 || high > 1.0 {
                    return wrong(key, format!("{low} to {high}"), "values from 0 to 1");
                }
                if self.window.is_none() && high > 0.0 {
                    return wrong(key, format!("{low} to {high}"), "0 where the mixture has no [window] of frames");
                }
            }
            if self.window.is_some() && channels(recipe) != 1 {
                return wrong("window", format!("a focal series in {}", recipe.name), "one image a frame");
            }
            if channels(recipe) * self.frames() != self.channels() {
                return wrong(
                    "part.recipe",
                    format!("{} with {} images", recipe.name, channels(recipe)),
                    "as many images of a focal series in every recipe; focal_series here sets it for all",
                );
            }
        }
        Ok(())
    }

    /// The camera's pixels of a part.
    pub(super) fn pixel_size_of<'a>(&'a self, settings: &'a PartSettings) -> &'a Distribution {
        settings.pixel_size_angstrom.as_ref().unwrap_or(&self.pixel_size_angstrom)
    }
}

impl WindowSettings {
    fn check(&self) -> Result<(), DatasetError> {
        let wrong = |key: &'static str, found: String, expected: &str| {
            Err(DatasetError::Value { key, found, expected: expected.to_owned() })
        };
        if !(3..=15).contains(&self.frames) || self.frames.is_multiple_of(2) {
            return wrong("window.frames", self.frames.to_string(), "an odd number from 3 to 15");
        }
        let (low, high) = self.misalignment_angstrom.range();
        if low < 0.0 || high > 3.0 {
            return wrong("window.misalignment_angstrom", format!("{low} to {high}"), "0 to 3 angstrom");
        }
        for (key, fraction) in [
            ("window.misplaced_fraction", self.misplaced_fraction),
            ("window.cut_short_fraction", self.cut_short_fraction),
            ("window.missing_fraction", self.missing_fraction),
            ("window.moving_fraction", self.moving_fraction),
        ] {
            if !(0.0..=1.0).contains(&fraction) {
                return wrong(key, fraction.to_string(), "a fraction from 0 to 1");
            }
        }
        Ok(())
    }
}

/// A recipe's text with some of its keys replaced.
fn changed(text: &str, change: &toml::Table) -> Result<Recipe, DatasetError> {
    if change.is_empty() {
        return Recipe::parse(text);
    }
    let mut recipe: toml::Table = toml::from_str(text).map_err(|error| crate::recipe::explain(&error, text))?;
    merge(&mut recipe, change);
    Recipe::parse(&recipe.to_string())
}

fn merge(into: &mut toml::Table, change: &toml::Table) {
    const DISTRIBUTIONS: [&str; 4] = ["uniform", "log_uniform", "normal", "choice"];
    let is_distribution = |table: &toml::Table| DISTRIBUTIONS.iter().any(|name| table.contains_key(*name));
    for (key, value) in change {
        match (into.get_mut(key), value) {
            (Some(toml::Value::Table(old)), toml::Value::Table(new))
                if !new.contains_key("kind") && !is_distribution(new) && !is_distribution(old) =>
            {
                merge(old, new);
            }
            _ => {
                into.insert(key.clone(), value.clone());
            }
        }
    }
}

fn channels(recipe: &Recipe) -> usize {
    recipe.optics.focal_series.as_ref().map_or(1, |series| series.images)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bundled_mixture_can_be_read_and_uses_every_recipe() {
        let mut used = Vec::new();
        for (name, _) in MIXTURES {
            let mixture = Mixture::bundled(name).unwrap();
            assert_eq!(mixture.name, name);
            assert!(!mixture.description.is_empty());
            used.extend(mixture.parts.iter().map(|part| part.settings.recipe.clone()));
        }
        for (name, text) in RECIPES {
            assert!(used.iter().any(|recipe| recipe == name), "{name}");
            assert_eq!(Recipe::parse(text).unwrap().name, name);
        }
        assert_eq!(Mixture::bundled("layer-series").unwrap().channels(), 3);
        let movies = Mixture::bundled("metal-movies").unwrap();
        assert_eq!((movies.channels(), movies.frames()), (5, 5));
        assert!(Mixture::bundled("layer").unwrap_err().to_string().contains("single-layers"));
    }

    #[test]
    fn changes_replace_what_the_recipe_has() {
        let mixture = |change: &str| {
            let text = format!(
                "name = 'a'\ndescription = 'b'\nlabels = 'particle'\npixel_size_angstrom = 0.1\n[[part]]\n\
                 recipe = 'metal-on-carbon'\nweight = 1\n[part.change]\n{change}"
            );
            Mixture::parse(&text, &|_| None)
        };
        let found = mixture(
            "wave.energy_kev = 80\noptics.defocus_angstrom = { uniform = [1, 2] }\nspecimen.support = { kind = 'none' }",
        )
        .unwrap();
        let recipe = &found.parts[0].recipe;
        assert_eq!(recipe.wave.energy_kev, Distribution::Constant(80.0));
        assert_eq!(recipe.optics.defocus_angstrom, Distribution::Uniform(1.0, 2.0));
        assert_eq!(recipe.specimen.support, atomlens_specimen::support::SupportSettings::None {});
        assert!(recipe.optics.cs_angstrom != Distribution::Constant(0.0), "what is not changed stays");
        assert!(mixture("wave.energy = 80").unwrap_err().to_string().contains("energy"));
        assert!(mixture("image.pixels = 100").is_ok_and(|mixture| {
            super::super::TrainingStream::new(&mixture, 1, crate::StreamSettings::default()).is_err()
        }));
    }
}
