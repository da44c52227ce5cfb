//! The physics of a TEM micrograph, from atoms to counts.
//!
//! Structure -> [`potential`] (slices) -> [`multislice`] (exit wave) -> [`optics`] (image)
//! -> [`camera`] (frame). Nothing here knows files, recipes or networks.
//!
//! Conventions, all in docs/conventions.md: a wave is `exp(+2 pi i k.r)`, the transfer function
//! `exp(-i chi(k))`, underfocus is positive and `C10 = -defocus`; arrays are `[y, x]`.

pub mod camera;
pub mod electron;
pub mod error;
pub mod fourier;
pub mod multislice;
pub mod optics;
pub mod parametrization;
pub mod potential;
pub mod real;
pub mod resample;

pub use error::SimulateError;
pub use fourier::BandLimit;
pub use multislice::{ExitWave, Multislice};
pub use optics::{Aberrations, AngularSpread, FocalSpread, Optics};
pub use parametrization::Parametrization;
pub use potential::{PotentialSettings, Projection};
pub use real::Real;
