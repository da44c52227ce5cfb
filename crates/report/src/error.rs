//! What can go wrong when a picture is made.

use std::path::PathBuf;

/// Why a picture could not be made or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// An array without pixels.
    #[error("cannot draw an array of {ny} x {nx} pixels: expected at least one pixel each way")]
    NoPixels {
        /// Rows of the array.
        ny: usize,
        /// Columns of the array.
        nx: usize,
    },
    /// A pixel size that is no length.
    #[error("cannot draw a scale bar for pixels of {found_angstrom} A: expected a finite size above zero")]
    PixelSize {
        /// The size that was given, in angstrom.
        found_angstrom: f64,
    },
    /// A grid that does not belong to the array.
    #[error(
        "cannot draw an array of {ny} x {nx} pixels on a grid of {grid_ny} x {grid_nx}: expected the array's own grid"
    )]
    GridShape {
        /// Rows of the array.
        ny: usize,
        /// Columns of the array.
        nx: usize,
        /// Rows of the grid.
        grid_ny: usize,
        /// Columns of the grid.
        grid_nx: usize,
    },
    /// A field of view without an area.
    #[error(
        "cannot draw a field of {width_angstrom} x {height_angstrom} A: expected a finite width and height above zero"
    )]
    Field {
        /// Width that was given, in angstrom.
        width_angstrom: f64,
        /// Height that was given, in angstrom.
        height_angstrom: f64,
    },
    /// A frame or focus value that a micrograph does not have.
    #[error("there is no {axis} {found}: the micrograph has {count}, counted from 0")]
    NoSuchFrame {
        /// `frame` or `focus`.
        axis: &'static str,
        /// Index that was asked for.
        found: usize,
        /// How many there are.
        count: usize,
    },
    /// An axis that has no length.
    #[error("cannot draw an axis from {low} to {high}: expected two finite numbers, the lower one first")]
    Range {
        /// Its beginning.
        low: f64,
        /// Its end.
        high: f64,
    },
    /// Nothing to show.
    #[error("nothing to draw: {what} is empty")]
    Empty {
        /// What has nothing in it.
        what: &'static str,
    },
    /// Arrays of a movie that do not belong together.
    #[error(
        "cannot draw {what} of {found_sites} sites in {found_frames} frames with probabilities of {sites} sites in \
         {frames} frames: expected arrays [site, frame] of one shape"
    )]
    StatesShape {
        /// Which array.
        what: &'static str,
        /// Sites that it has.
        found_sites: usize,
        /// Frames that it has.
        found_frames: usize,
        /// Sites of the movie.
        sites: usize,
        /// Frames of the movie.
        frames: usize,
    },
    /// A list that has not as many entries as there are things that it is about.
    #[error("cannot draw {found} {what} for {expected}: expected one for each")]
    Count {
        /// What the list holds.
        what: &'static str,
        /// How many it holds.
        found: usize,
        /// How many there should be.
        expected: usize,
    },
    /// More frames than an animation holds.
    #[error("an animation holds {most} frames: give every n-th frame of a longer movie")]
    TooManyFrames {
        /// How many it holds.
        most: usize,
    },
    /// A picture too small to hold anything or too large to be opened.
    #[error("cannot make a picture of {width_px} x {height_px} pixels: expected 32 to 32768 each way")]
    PictureSize {
        /// Width, in pixels.
        width_px: u32,
        /// Height, in pixels.
        height_px: u32,
    },
    /// The file could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file that was to be written.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The picture could not be encoded.
    #[error("cannot encode the picture {}: {source}", path.display())]
    Encode {
        /// The file that was to be written.
        path: PathBuf,
        /// Why not.
        source: image::ImageError,
    },
    /// A page could not be put together.
    #[error("cannot make the page: {source}")]
    Page {
        /// Why not.
        #[from]
        source: askama::Error,
    },
}
