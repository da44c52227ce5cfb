//! Pictures for people: micrographs, maps, structures and plots with scale bars and captions, one by one or on a
//! contact sheet, as PNG.
//!
//! ```
//! use atomlens_core::{Atom, Structure, glam::DVec3};
//! use atomlens_report::{ContactSheet, Direction, Field, Panel};
//!
//! let gold = "Au".parse().unwrap();
//! let atoms = (0..4).map(|i| Atom::new(gold, DVec3::new(2.9 * f64::from(i), 1.0, 0.0))).collect();
//! let structure = Structure { atoms, cell: None };
//! let image = ndarray::Array2::<f32>::zeros((32, 64));
//! let sheet = ContactSheet::new("Four atoms")
//!     .columns(2)
//!     .push(Panel::structure(&structure, Field::around(&structure, Direction::AlongBeam, 2.0)).caption("structure"))
//!     .push(Panel::micrograph(image.view(), 0.2).caption("image").marks("atoms", [(0.0, 1.0), (2.9, 1.0)]));
//! let picture = sheet.render()?; // or sheet.write_png("sheet.png")?
//! assert!(picture.width() > 2 * 360);
//! # Ok::<(), atomlens_report::ReportError>(())
//! ```
//!
//! Conventions: arrays are `[y, x]` with row 0 on top; element `[j, i]` is centred at `x = i * pixel`,
//! `y = j * pixel`. Structures are seen with the beam, in the same orientation as the image. Scale bars are 1, 2 or 5
//! times a power of ten, in pm, nm or µm, and exact to a fraction of a pixel.

pub mod animation;
mod axis;
mod base64;
pub mod benchmark;
pub mod calibrated_map;
pub mod canvas;
pub mod colour;
mod colour_bar;
pub mod contact_sheet;
pub mod defects;
pub mod drawing;
pub mod element_style;
mod error;
mod estimate;
pub mod event_raster;
mod file;
pub mod histogram;
pub mod html;
mod marks;
pub mod movie_plots;
mod neighbours;
pub mod overlay;
pub mod panel;
pub mod plot;
pub mod png;
pub mod raster;
pub mod scale_bar;
pub mod series;
pub mod site_map;
mod site_states;
pub mod species_map;
pub mod species_style;
pub mod spectrum;
pub mod structure_view;
mod svg;
pub mod text;
pub mod wave;

pub use animation::{Animation, AnimationFrame, AnimationSettings, AnimationSite};
pub use axis::Scale;
pub use calibrated_map::CalibratedMap;
pub use colour::ColourMap;
pub use contact_sheet::{ContactSheet, spread};
pub use defects::{Defects, Edge, EdgeDirection, GrainBoundary, RingDefect, SiteDefect, SiteKind};
pub use drawing::Drawing;
pub use error::ReportError;
pub use estimate::Estimate;
pub use event_raster::EventRaster;
pub use histogram::Histogram;
pub use movie_plots::{ClassRates, DisplacementPoint, DriftPoint, RateUnit, SurvivalPoint};
pub use overlay::{ColourBy, Mark, Overlay};
pub use panel::Panel;
pub use plot::Plot;
pub use scale_bar::{length_label, short_number};
pub use series::Series;
pub use site_map::{MapSite, SiteMap, SiteQuantity};
pub use site_states::SiteStates;
pub use species_map::{SpeciesMap, Window};
pub use spectrum::SpectrumFigure;
pub use structure_view::{Direction, Field};

pub use image::RgbImage;
