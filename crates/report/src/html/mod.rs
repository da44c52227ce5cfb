//! Pages that stand by themselves: one HTML file with its pictures, styles and scripts inside, which opens without a
//! network and asks for nothing from elsewhere (a content security policy in the page forbids it).

mod column_viewer;
mod comparison;
mod detection;
mod focal_series;
mod movie;
mod movie_viewer;
mod picture;
mod reconstruction;
mod sections;
mod series_images;
mod species_viewer;
mod statistics;
mod training;
mod viewer;

pub(crate) use statistics::median;

pub use comparison::{ComparisonReport, Condition, RateDifference};
pub use detection::{DetectionReport, FileReport, FrameReport, ModelCard, ModelTable, SpacingCheck, Warning};
pub use focal_series::{Confusion, DefectCount, FocalSeriesReport, SpeciesAccuracy};
pub use movie::{Hops, MovieFacts, MovieFrame, MovieReport, MovieSite, SelfCheck, SelfCheckRow};
pub use picture::{FramePicture, MOST_PICTURES, largest_side_px, picture_step};
pub use reconstruction::{CameraFacts, OpticsValue, ReconstructionReport, Residual};
pub use series_images::{FocusImage, SeriesFacts};
pub use training::{DoseValidation, TrainingCurves, TrainingState, TrainingStep, Validation};

use crate::estimate::{Estimate, Kind, Written};

/// The style of every page.
pub(crate) const STYLE: &str = include_str!("../../templates/page.css");

/// A figure on a page.
#[derive(Debug, Clone)]
pub(crate) struct Figure {
    /// An `svg` element.
    pub(crate) svg: String,
    pub(crate) caption: String,
}

/// A number on a page and, in smaller letters, its interval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Number {
    pub(crate) value: String,
    /// Empty where unknown.
    pub(crate) interval: String,
}

impl Number {
    pub(crate) fn of(estimate: Estimate, kind: Kind) -> Number {
        let Written { value, ends } = estimate.written(kind);
        Number { value, interval: ends.map_or(String::new(), |(low, high)| format!("[{low}, {high}]")) }
    }

    /// A share from 0 to 1 in percent, without the sign.
    pub(crate) fn percent(share: Estimate) -> Number {
        Number::of(share.scaled(100.0), Kind::Percent)
    }

    pub(crate) fn count(estimate: Estimate) -> Number {
        Number::of(estimate, Kind::Count)
    }
}

impl From<Estimate> for Number {
    fn from(estimate: Estimate) -> Number {
        Number::of(estimate, Kind::Any)
    }
}

/// A count and its noun.
pub(crate) fn counted(count: usize, one: &str, many: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{} {many}", grouped(count)) }
}

/// A count with its thousands apart, from 10 000 on.
pub(crate) fn grouped(count: usize) -> String {
    let digits = count.to_string();
    if digits.len() < 5 {
        return digits;
    }
    let mut written = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            // A thin space that does not break.
            written.push('\u{202f}');
        }
        written.push(digit);
    }
    written
}
