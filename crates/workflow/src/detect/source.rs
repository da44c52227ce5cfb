//! Where frames come from: the files that were asked for, opened and checked before anything is computed.

use std::path::{Path, PathBuf};

use atomlens_formats::FormatError;
use atomlens_formats::signal::{self, Acquisition, Axis, Signal};
use ndarray::Array2;

use crate::WorkflowError;

/// An image or a movie in a file.
#[derive(Debug, Clone)]
pub struct Source {
    /// The file.
    pub path: PathBuf,
    /// What it is called in tables: the file's name.
    pub name: String,
    /// Its format.
    pub format: &'static str,
    /// What the reader had to say.
    pub notes: Vec<String>,
    signal: Signal,
}

impl Source {
    /// Opens a file's first image or movie.
    ///
    /// # Errors
    /// A file that cannot be read or holds no image.
    pub fn open(path: &Path) -> Result<Source, WorkflowError> {
        let file = signal::open(path)?;
        let signal = file.image()?.clone();
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        Ok(Source { path: path.to_owned(), name, format: file.format, notes: file.notes.clone(), signal })
    }

    /// Number of frames.
    pub fn frames(&self) -> u64 {
        self.signal.frames()
    }

    /// Width and height in pixels.
    pub fn size_px(&self) -> (usize, usize) {
        self.signal.image_axes().map_or((0, 0), |(y, x)| (x.size, y.size))
    }

    /// Pixel size along x and y in angstrom, where the file has it.
    pub fn pixel_angstrom(&self) -> Option<(f64, f64)> {
        self.signal.pixel_size().map(|size| (10.0 * size.x_nm, 10.0 * size.y_nm))
    }

    /// What is known of the recording.
    pub fn acquisition(&self) -> &Acquisition {
        &self.signal.acquisition
    }

    /// The axis along which the images of a stack follow one another; of several, the fastest.
    pub fn axis_before_image(&self) -> Option<&Axis> {
        let [.., axis, _, _] = self.signal.axes.as_slice() else { return None };
        Some(axis)
    }

    /// A frame with what is not a number replaced by the mean of the rest, and how many pixels that were.
    ///
    /// # Errors
    /// A frame that cannot be read, or has no number in it.
    pub fn frame(&self, index: u64) -> Result<(Array2<f32>, usize), WorkflowError> {
        let mut frame = self.signal.frame(index)?;
        let (mut sum, mut count) = (0.0_f64, 0_usize);
        for value in frame.iter().filter(|value| value.is_finite()) {
            sum += f64::from(*value);
            count += 1;
        }
        let missing = frame.len() - count;
        if count == 0 {
            return Err(WorkflowError::BadFrame {
                path: self.path.clone(),
                frame: index,
                reason: "none of its pixels is a finite number".to_owned(),
            });
        }
        if missing > 0 {
            let mean = (sum / count as f64) as f32;
            frame.mapv_inplace(|value| if value.is_finite() { value } else { mean });
        }
        Ok((frame, missing))
    }
}

/// Whether an error concerns one frame, so that the rest of a movie can be used.
pub(crate) fn is_of_a_frame(error: &WorkflowError) -> bool {
    matches!(
        error,
        WorkflowError::BadFrame { .. }
            | WorkflowError::Format(FormatError::Malformed { .. } | FormatError::Read { .. })
    )
}
