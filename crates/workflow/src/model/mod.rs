//! Trained models: a network and what is known of it.
//!
//! A model is a folder: `weights.safetensors` (the network), `card.toml` (what it was trained on and how good it is, for
//! the program), `card.md` (the same for people) and `model.onnx` (the network for other programs). Some models are
//! built into the program.

pub mod card;
mod describe;
mod page;

use std::path::Path;

use atomlens_network::onnx::network_to_onnx;
use atomlens_network::{Network, network_from_bytes, network_to_bytes};

pub use self::card::{Accuracy, ModelCard, ModelRange, SeriesRange, SpeciesAccuracy, TrainingFacts};
pub(crate) use self::page::{page, reliability_bins};
use crate::WorkflowError;
use crate::train::folder::write_bytes;

/// The file that holds a model's network.
pub const WEIGHTS_FILE: &str = "weights.safetensors";
/// The file that holds what is known of it.
pub const CARD_FILE: &str = "card.toml";

/// A network and its card.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// What is known of it.
    pub card: ModelCard,
    /// The network.
    pub network: Network,
}

/// A model that is built into the program.
struct Bundled {
    name: &'static str,
    weights: &'static [u8],
    card: &'static str,
}

macro_rules! bundled {
    ($name:literal) => {
        Bundled {
            name: $name,
            weights: include_bytes!(concat!("../../../../models/", $name, "/weights.safetensors")),
            card: include_str!(concat!("../../../../models/", $name, "/card.toml")),
        }
    };
}

/// All of them; the first is taken where nothing speaks for another.
const BUNDLED: [Bundled; 3] = [bundled!("metal-particles"), bundled!("single-layers"), bundled!("layer-series")];

impl Model {
    /// Names of the models that are built in.
    pub fn names() -> Vec<&'static str> {
        BUNDLED.iter().map(|model| model.name).collect()
    }

    /// A model by the name of one that is built in, or by its folder.
    ///
    /// # Errors
    /// If there is neither, or the folder holds no model.
    pub fn find(name: &str) -> Result<Model, WorkflowError> {
        let folder = Path::new(name);
        if folder.is_dir() {
            return Model::read(folder);
        }
        let bundled = BUNDLED
            .iter()
            .find(|model| model.name == name)
            .ok_or_else(|| WorkflowError::UnknownModel { found: name.to_owned(), known: Model::names().join(", ") })?;
        Model::parse(Path::new(bundled.name), bundled.weights, bundled.card)
    }

    /// Reads a model's folder.
    ///
    /// # Errors
    /// A file that is missing or damaged.
    pub fn read(folder: &Path) -> Result<Model, WorkflowError> {
        let weights_path = folder.join(WEIGHTS_FILE);
        let weights = std::fs::read(&weights_path).map_err(|error| WorkflowError::read(&weights_path, &error))?;
        let card_path = folder.join(CARD_FILE);
        let card = std::fs::read_to_string(&card_path).map_err(|error| WorkflowError::read(&card_path, &error))?;
        Model::parse(folder, &weights, &card)
    }

    /// Writes a model's folder.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), WorkflowError> {
        std::fs::create_dir_all(folder).map_err(|error| WorkflowError::write(folder, &error))?;
        write_bytes(&folder.join(WEIGHTS_FILE), &network_to_bytes(&self.network))?;
        let path = folder.join(CARD_FILE);
        let text = toml::to_string(&self.card)
            .map_err(|error| WorkflowError::Write { path: path.clone(), reason: error.to_string() })?;
        write_bytes(&path, text.as_bytes())?;
        let about = [
            ("name".to_owned(), self.card.name.clone()),
            ("species".to_owned(), self.card.species.join(",")),
            ("pixel_size_angstrom".to_owned(), self.card.pixel_size_angstrom.to_string()),
            ("normalisation".to_owned(), self.card.normalisation.clone()),
        ];
        write_bytes(&folder.join("model.onnx"), &network_to_onnx(&self.network, &about))?;
        write_bytes(&folder.join("card.md"), describe::markdown(&self.card).as_bytes())?;
        Ok(())
    }

    fn parse(folder: &Path, weights: &[u8], card: &str) -> Result<Model, WorkflowError> {
        let network = network_from_bytes(weights)
            .map_err(|source| WorkflowError::Network { path: folder.join(WEIGHTS_FILE), source })?;
        let wrong = |reason: String| WorkflowError::Card { path: folder.join(CARD_FILE), reason };
        let card: ModelCard = toml::from_str(card).map_err(|error| wrong(error.to_string()))?;
        if card.species.len() != network.architecture().species {
            return Err(wrong(format!(
                "{} species, where the network has {}",
                card.species.len(),
                network.architecture().species
            )));
        }
        if card.frames != 1 && card.frames != network.architecture().image_channels {
            return Err(wrong(format!(
                "{} frames, where the network sees {} images",
                card.frames,
                network.architecture().image_channels
            )));
        }
        card.check().map_err(wrong)?;
        Ok(Model { card, network })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_models_that_are_built_in_can_be_read_and_are_small() {
        for bundled in &BUNDLED {
            let model = Model::find(bundled.name).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(model.card.name, bundled.name);
            assert!(bundled.weights.len() <= 10_000_000, "{}: {} bytes", bundled.name, bundled.weights.len());
            assert!(!model.card.accuracy.is_empty());
        }
    }

    #[test]
    fn a_model_comes_back_from_its_folder() {
        let model = Model::find("metal-particles").unwrap();
        let folder = tempfile::tempdir().unwrap();
        model.write(folder.path()).unwrap();
        let back = Model::read(folder.path()).unwrap();
        assert_eq!(back.network, model.network);
        assert_eq!(back.card, model.card);
        std::fs::write(folder.path().join(CARD_FILE), "name = 3").unwrap();
        let error = Model::read(folder.path()).unwrap_err();
        assert!(error.to_string().contains("card.toml"), "{error}");
        assert_eq!(error.exit_code(), 3);
    }
}
