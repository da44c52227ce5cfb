//! What a training is told: images, network, schedule.

use std::path::Path;

use atomlens_dataset::training::Mixture;
use atomlens_network::{Architecture, Family};
use serde::{Deserialize, Serialize};

use crate::WorkflowError;

/// A training's recipe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingRecipe {
    /// Name of the model.
    pub name: String,
    /// What the model is for.
    pub description: String,
    /// Where its images come from: a mixture that comes with the program, or a file beside the recipe.
    pub mixture: String,
    /// Lattices whose spacing may tell the pixel size of an image that does not say it.
    #[serde(default)]
    pub lattices: Vec<String>,
    /// The network.
    pub network: Family,
    /// How long and how fast.
    pub schedule: Schedule,
}

/// How a network is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// Steps in all.
    pub steps: u64,
    /// Images in each step.
    pub batch: usize,
    /// Edge of the images in pixels; those of the mixture if left out.
    pub field_px: Option<usize>,
    /// Highest learning rate; it rises to it, and then falls along a cosine.
    pub learning_rate: f64,
    /// Steps of the rise.
    #[serde(default = "warm_up_steps")]
    pub warm_up_steps: u64,
    /// Steps between two looks at images that are not trained on.
    #[serde(default = "validate_every")]
    pub validate_every: u64,
    /// Number of those images.
    #[serde(default = "validation_images")]
    pub validation_images: usize,
}

fn warm_up_steps() -> u64 {
    100
}

fn validate_every() -> u64 {
    200
}

fn validation_images() -> usize {
    64
}

/// A training recipe that comes with the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BundledTraining {
    /// What it is called on the command line.
    pub name: &'static str,
    /// The file, with its comments.
    pub text: &'static str,
}

/// All of them.
pub const BUNDLED: [BundledTraining; 4] = [
    BundledTraining { name: "metal-particles", text: include_str!("../../../../recipes/models/metal-particles.toml") },
    BundledTraining { name: "metal-movies", text: include_str!("../../../../recipes/models/metal-movies.toml") },
    BundledTraining { name: "single-layers", text: include_str!("../../../../recipes/models/single-layers.toml") },
    BundledTraining { name: "layer-series", text: include_str!("../../../../recipes/models/layer-series.toml") },
];

/// Finds a training recipe and its mixture: a file, or the name of a bundled one. A mixture's file is looked for beside
/// the recipe's, and the recipes that it names beside the mixture.
///
/// # Errors
/// If there is neither, or one is wrong.
pub fn find(name: &str) -> Result<(TrainingRecipe, Mixture), WorkflowError> {
    let path = Path::new(name);
    if path.is_file() {
        let text = std::fs::read_to_string(path).map_err(|error| WorkflowError::read(path, &error))?;
        let recipe = TrainingRecipe::parse(name, &text)?;
        let mixture = find_mixture(&recipe.mixture, path.parent().unwrap_or(Path::new("")))?;
        return Ok((recipe, mixture));
    }
    let bundled = BUNDLED.iter().find(|recipe| recipe.name == name).ok_or_else(|| WorkflowError::UnknownRecipe {
        found: name.to_owned(),
        known: BUNDLED.map(|recipe| recipe.name).join(", "),
    })?;
    let recipe = TrainingRecipe::parse(name, bundled.text)?;
    let mixture = find_mixture(&recipe.mixture, Path::new(""))?;
    Ok((recipe, mixture))
}

/// The mixture of a recipe that is no file any more, as a model's card has it, with the recipe's size of images.
///
/// # Errors
/// If the mixture did not come with the program and is not a file.
pub fn mixture_of(recipe: &TrainingRecipe) -> Result<Mixture, WorkflowError> {
    let mut mixture = find_mixture(&recipe.mixture, Path::new(""))?;
    mixture.field_px = recipe.schedule.field_px.unwrap_or(mixture.field_px);
    Ok(mixture)
}

fn find_mixture(name: &str, folder: &Path) -> Result<Mixture, WorkflowError> {
    let wrong = |source| WorkflowError::Recipe { path: name.to_owned(), source: Box::new(source) };
    let path = folder.join(name);
    if !path.is_file() {
        return Mixture::bundled(name).map_err(wrong);
    }
    let text = std::fs::read_to_string(&path).map_err(|error| WorkflowError::read(&path, &error))?;
    let beside = path.parent().unwrap_or(Path::new("")).to_owned();
    let recipe_text = |recipe: &str| {
        let own = std::fs::read_to_string(beside.join(recipe))
            .or_else(|_| std::fs::read_to_string(beside.join(format!("{recipe}.toml"))));
        own.ok()
    };
    Mixture::parse(&text, &recipe_text).map_err(wrong)
}

/// The learning rate ends at this part of its highest value.
const LAST_RATE: f64 = 0.01;

impl TrainingRecipe {
    /// Reads a recipe, and checks all but its mixture.
    ///
    /// # Errors
    /// A recipe that is no TOML, has unknown fields or values that make no sense.
    pub fn parse(path: &str, text: &str) -> Result<TrainingRecipe, WorkflowError> {
        let wrong = |reason: String| WorkflowError::TrainingRecipe { path: path.to_owned(), reason };
        let recipe: TrainingRecipe = toml::from_str(text).map_err(|error| wrong(error.to_string()))?;
        recipe.network.check().map_err(|reason| wrong(format!("network: {reason}")))?;
        let schedule = &recipe.schedule;
        let checks = [
            (schedule.steps > 0, "schedule.steps: expected at least 1"),
            ((1..=1024).contains(&schedule.batch), "schedule.batch: expected 1 to 1024"),
            (schedule.validate_every > 0, "schedule.validate_every: expected at least 1"),
            (
                schedule.learning_rate > 0.0 && schedule.learning_rate <= 0.1,
                "schedule.learning_rate: expected more than 0 and at most 0.1",
            ),
        ];
        match checks.into_iter().find(|(holds, _)| !holds) {
            Some((_, reason)) => Err(wrong(reason.to_owned())),
            None => Ok(recipe),
        }
    }

    /// The network that is trained on a mixture.
    pub fn architecture(&self, mixture: &Mixture) -> Architecture {
        let columns = Architecture::new(self.network.clone(), mixture.channels(), mixture.labels.species().len());
        if mixture.wave { columns.with_wave() } else { columns }
    }
}

impl Schedule {
    /// The learning rate at a part of the training, from 0 to 1, and after so many steps.
    pub fn learning_rate(&self, steps: u64, part: f64) -> f64 {
        let rise = ((steps + 1) as f64 / self.warm_up_steps.max(1) as f64).min(1.0);
        let cosine = 0.5 * (1.0 + (std::f64::consts::PI * part.clamp(0.0, 1.0)).cos());
        self.learning_rate * rise * (LAST_RATE + (1.0 - LAST_RATE) * cosine)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
        name = "test"
        description = "a test"
        mixture = "metal-particles"
        [network]
        kind = "ladder"
        channels = [8, 16]
        pairs = 1
        [schedule]
        steps = 100
        batch = 2
        learning_rate = 1e-3
    "#;

    #[test]
    fn a_recipe_is_read_and_a_wrong_one_refused() {
        let recipe = TrainingRecipe::parse("test", TEXT).unwrap();
        assert_eq!(recipe.schedule.warm_up_steps, 100);
        for (what, with) in
            [("steps = 100", "steps = 0"), ("pairs = 1", "pears = 1"), ("[8, 16]", "[]"), ("1e-3", "1e3")]
        {
            let error = TrainingRecipe::parse("test", &TEXT.replace(what, with)).unwrap_err();
            assert!(matches!(error, WorkflowError::TrainingRecipe { .. }), "{error}");
            assert_eq!(error.exit_code(), 3);
        }
    }

    #[test]
    fn the_rate_rises_and_falls() {
        let schedule = TrainingRecipe::parse("test", TEXT).unwrap().schedule;
        assert!(schedule.learning_rate(0, 0.0) < 1.1e-5);
        assert!((schedule.learning_rate(200, 0.0) - 1e-3).abs() < 1e-12);
        assert!((schedule.learning_rate(200, 0.5) - 0.505e-3).abs() < 1e-6);
        assert!((schedule.learning_rate(200, 1.0) - 1e-5).abs() < 1e-9);
    }
}
