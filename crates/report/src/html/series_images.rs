//! The images of a focal series on a page: which focus each was taken at, as stated and as found.

use ndarray::ArrayView2;

/// What is known of a series besides its images.
#[derive(Debug, Clone, Default)]
pub struct SeriesFacts {
    /// The file's or the folder's name, as it is to be written.
    pub name: String,
    /// Width and height of an image, in pixels.
    pub size_px: (usize, usize),
    /// Size of a pixel, in nm.
    pub pixel_size_nm: f64,
    /// Where the pixel size is from, such as `from the file`.
    pub pixel_size_source: String,
    /// Where the focus of the images is from, such as `steps from the file`; may be empty.
    pub focus_source: String,
    /// More that is known, such as voltage and dose: name and value with unit.
    pub facts: Vec<(String, String)>,
}

/// One image of a series. Underfocus is positive.
#[derive(Debug, Clone)]
pub struct FocusImage<'a> {
    /// Its values `[y, x]`.
    pub counts: ArrayView2<'a, f32>,
    /// The focus as stated, in nm.
    pub nominal_defocus_nm: Option<f64>,
    /// The focus as estimated from the images, in nm.
    pub defocus_nm: Option<f64>,
    /// Standard deviation of the estimate, in nm.
    pub defocus_sigma_nm: Option<f64>,
    /// How far it was moved to lie on the others, x and y in nm.
    pub shift_nm: Option<[f64; 2]>,
    /// Whether it was left out, and why; empty for one that was used.
    pub left_out: String,
}
