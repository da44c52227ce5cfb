//! What a specimen rests on: nothing, a film of amorphous carbon, a crystalline oxide in profile, or graphene.
//!
//! Crystalline supports are attached to the body before the stage tilts it, so that body and support stay one piece;
//! a film of amorphous carbon is laid into the box afterwards, since it looks the same from every side and has to fill the
//! box periodically.
//!
//! ```
//! use atomlens_specimen::support::SupportSettings;
//! let settings: SupportSettings = toml::from_str(r#"
//! kind = "oxide"
//! crystal = "CeO2"
//! zone_axis = [1, 1, 0]
//! surface = [1, 1, 1]
//! "#).unwrap();
//! ```

use atomlens_core::SeedPath;
use serde::{Deserialize, Serialize};

use crate::{Body, Specimen, SpecimenError};

pub mod amorphous_carbon;
pub mod crystal;
pub mod graphene;
pub mod oxide;
mod seat;
mod slab;

pub use amorphous_carbon::AmorphousCarbonSettings;
pub use crystal::{BasisAtom, CrystalCell, CrystalName};
pub use graphene::GrapheneSupportSettings;
pub use oxide::{Facet, OxideSettings};

/// A support, by kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum SupportSettings {
    /// No support.
    None {},
    /// A film of amorphous carbon across the field.
    AmorphousCarbon(AmorphousCarbonSettings),
    /// A slab of an oxide in profile, on whose surface the particle sits.
    Oxide(Box<OxideSettings>),
    /// A sheet of graphene across the field.
    Graphene(GrapheneSupportSettings),
}

impl Default for SupportSettings {
    fn default() -> Self {
        SupportSettings::None {}
    }
}

/// The side of the specimen that a film or sheet is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// Where the beam enters, at low z.
    Above,
    /// Where the beam leaves, at high z.
    Below,
    /// Either, with equal chances.
    Either,
}

impl Side {
    fn is_above(self, random: &mut impl rand::Rng) -> bool {
        use rand::RngExt;
        // Drawn in any case, so that what follows does not depend on the setting.
        let draw: bool = random.random();
        match self {
            Side::Above => true,
            Side::Below => false,
            Side::Either => draw,
        }
    }
}

impl SupportSettings {
    /// Attaches a crystalline support to a body; does nothing for a film, or without support.
    ///
    /// # Errors
    /// A knob out of range, an oxide under a body that fills the field, or a particle of which nothing is left above the
    /// interface.
    pub fn attach(&self, body: Body, field_angstrom: [f64; 2], seed: SeedPath) -> Result<Body, SpecimenError> {
        match self {
            SupportSettings::None {} | SupportSettings::AmorphousCarbon(_) => Ok(body),
            SupportSettings::Oxide(settings) => oxide::attach(settings, body, field_angstrom, seed),
            SupportSettings::Graphene(settings) => graphene::attach(settings, body, field_angstrom, seed),
        }
    }

    /// Lays a film beside a specimen in its box, which grows along the beam; does nothing for other supports.
    ///
    /// # Errors
    /// A knob out of range.
    pub fn film(&self, specimen: Specimen, seed: SeedPath) -> Result<Specimen, SpecimenError> {
        match self {
            SupportSettings::AmorphousCarbon(settings) => amorphous_carbon::film(settings, specimen, seed),
            _ => Ok(specimen),
        }
    }
}
