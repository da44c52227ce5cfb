//! The recipes that come with the program, and the reading of others.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use atomlens_dataset::{DatasetError, Recipe, Resources};
use atomlens_formats::read_structure;
use atomlens_simulate::camera::TransferCurve;

use crate::WorkflowError;

/// A recipe that comes with the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BundledRecipe {
    /// What it is called on the command line.
    pub name: &'static str,
    /// The file, with its comments.
    pub text: &'static str,
}

/// All of them.
pub const BUNDLED: [BundledRecipe; 5] = [
    BundledRecipe { name: "gold", text: include_str!("../../../recipes/gold.toml") },
    BundledRecipe { name: "platinum-on-ceria", text: include_str!("../../../recipes/platinum-on-ceria.toml") },
    BundledRecipe { name: "mos2-focal-series", text: include_str!("../../../recipes/mos2-focal-series.toml") },
    BundledRecipe { name: "graphene", text: include_str!("../../../recipes/graphene.toml") },
    BundledRecipe { name: "gold-movie", text: include_str!("../../../recipes/gold-movie.toml") },
];

/// A recipe's text and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecipeSource {
    /// The name of a bundled recipe or of a file.
    pub name: String,
    /// The file, unless it is bundled.
    pub path: Option<PathBuf>,
    /// The TOML.
    pub text: String,
}

impl RecipeSource {
    /// Finds a recipe: a file, or the name of a bundled one.
    ///
    /// # Errors
    /// If there is neither, or the file cannot be read.
    pub fn find(name: &str) -> Result<RecipeSource, WorkflowError> {
        let path = Path::new(name);
        if path.is_file() {
            let text = std::fs::read_to_string(path).map_err(|error| WorkflowError::read(path, &error))?;
            return Ok(RecipeSource { name: name.to_owned(), path: Some(path.to_owned()), text });
        }
        let stem = name.strip_suffix(".toml").unwrap_or(name);
        match BUNDLED.iter().find(|recipe| recipe.name == stem) {
            Some(recipe) => Ok(RecipeSource { name: recipe.name.to_owned(), path: None, text: recipe.text.to_owned() }),
            None => Err(WorkflowError::UnknownRecipe {
                found: name.to_owned(),
                known: BUNDLED.map(|recipe| recipe.name).join(", "),
            }),
        }
    }

    /// The name without its folder.
    pub fn file_name(&self) -> String {
        let name = self.path.as_deref().and_then(Path::file_name);
        name.map_or_else(|| self.name.clone(), |name| name.to_string_lossy().into_owned())
    }

    /// Reads the recipe and checks it.
    pub fn parse(&self) -> Result<Recipe, WorkflowError> {
        Recipe::parse(&self.text).map_err(|error| self.wrong(error))
    }

    /// Reads what the recipe refers to; names of files are relative to the recipe's folder.
    pub fn resources(&self, recipe: &Recipe) -> Result<(Resources, Vec<PathBuf>), WorkflowError> {
        let folder = self.path.as_deref().and_then(Path::parent).unwrap_or(Path::new(""));
        let mut read = Vec::new();
        let mut resources = Resources::default();
        if let Some(path) = recipe.specimen.structure_path() {
            let path = folder.join(path);
            resources.structure = Some(read_structure(&path)?);
            read.push(path);
        }
        let mut curves = BTreeMap::new();
        for name in recipe.curve_paths() {
            let path = folder.join(&name);
            let text = std::fs::read_to_string(&path).map_err(|error| WorkflowError::read(&path, &error))?;
            curves.insert(name, parse_curve(&path, &text)?);
            read.push(path);
        }
        resources.curves = curves;
        Ok((resources, read))
    }

    /// An error of this recipe.
    pub fn wrong(&self, error: DatasetError) -> WorkflowError {
        WorkflowError::Recipe { path: self.name.clone(), source: Box::new(error) }
    }
}

/// Reads a measured curve of a camera.
pub(crate) fn parse_curve(path: &Path, text: &str) -> Result<TransferCurve, WorkflowError> {
    TransferCurve::parse_table(text).map_err(|reason| WorkflowError::Curve { path: path.to_owned(), reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bundled_recipe_can_be_read() {
        for bundled in BUNDLED {
            let source = RecipeSource::find(bundled.name).unwrap();
            let recipe = source.parse().unwrap_or_else(|error| panic!("{error}"));
            assert!(!recipe.description.is_empty(), "{} says what it is for", bundled.name);
            // A recipe is also documentation: at least a comment for every third knob.
            let count = |sign: char| bundled.text.lines().filter(|line| line.contains(sign)).count();
            assert!(3 * count('#') >= count('='), "{}: {} comments", bundled.name, count('#'));
        }
    }

    #[test]
    fn every_bundled_recipe_can_be_followed_for_long() {
        use atomlens_core::SeedPath;
        for bundled in BUNDLED {
            let recipe = RecipeSource::find(bundled.name).unwrap().parse().unwrap();
            // The smallest field that the recipe may draw.
            let [nx, ny] = recipe.image.pixels.each();
            let pixel = recipe.image.pixel_size_angstrom.range().0;
            let field = [nx, ny].map(|n| n as f64 * pixel + 2.0 * recipe.image.margin_angstrom);
            for seed in 0..60 {
                if let Err(error) = recipe.specimen.build(field, None, SeedPath::new(seed)) {
                    panic!("{}, seed {seed}: {error}", bundled.name);
                }
            }
        }
    }

    #[test]
    fn unknown_recipes_are_answered_with_the_known_ones() {
        let message = RecipeSource::find("silver").unwrap_err().to_string();
        assert!(message.contains("gold") && message.contains("graphene"), "{message}");
    }
}
