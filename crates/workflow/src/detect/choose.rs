//! Which model looks at an image.

use atomlens_analysis::lattice::known::KnownLattice;

use super::pixel_size::PixelSize;
use crate::WorkflowError;
use crate::model::Model;

/// A model and why it was taken.
#[derive(Debug, Clone)]
pub struct Choice {
    /// The model.
    pub model: Model,
    /// What it was called: a name or a folder.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// The models that may look: the one that was asked for, or all that are built in and see one frame at a time.
///
/// # Errors
/// If there is no such model.
pub fn candidates(asked: Option<&str>) -> Result<Vec<(String, Model)>, WorkflowError> {
    match asked {
        Some(name) => Ok(vec![(name.to_owned(), Model::find(name)?)]),
        None => {
            let mut all = Vec::new();
            for name in Model::names() {
                all.push((name.to_owned(), Model::find(name)?));
            }
            all.retain(|(_, model)| model.card.frames == 1 && model.network.architecture().image_channels == 1);
            Ok(all)
        }
    }
}

/// The lattices that the image may show: the one that the user names, or those of the models, each once; names on cards that
/// this version does not know are left out.
///
/// # Errors
/// If the user names a lattice that nobody knows.
pub fn lattices(candidates: &[(String, Model)], asked: Option<&str>) -> Result<Vec<KnownLattice>, WorkflowError> {
    if let Some(name) = asked {
        let lattice = KnownLattice::named(name).map_err(|_| WorkflowError::Setting {
            what: "--lattice",
            found: name.to_owned(),
            expected: format!("one of {}", KnownLattice::names().join(", ")),
        })?;
        return Ok(vec![lattice]);
    }
    let mut names: Vec<&str> = Vec::new();
    for name in candidates.iter().flat_map(|(_, model)| &model.card.lattices) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    Ok(names.into_iter().filter_map(|name| KnownLattice::named(name).ok()).collect())
}

/// The model for an image whose pixel size is known.
pub fn choose(mut candidates: Vec<(String, Model)>, asked: bool, pixel_size: &PixelSize) -> Choice {
    let best = pixel_size.estimate.as_ref().map(|estimate| &estimate.best);
    let fits = |model: &Model| best.is_some_and(|best| model.card.lattices.contains(&best.lattice));
    let (index, reason) = if asked {
        (0, "it was asked for".to_owned())
    } else {
        match (candidates.iter().position(|(_, model)| fits(model)), best) {
            (Some(index), Some(best)) => {
                let reason = format!("the image shows a lattice like that of {} along {}", best.lattice, best.zone);
                (index, reason)
            }
            _ => (0, "no lattice in the image speaks for another".to_owned()),
        }
    };
    let (name, model) = candidates.swap_remove(index);
    Choice { model, name, reason }
}
