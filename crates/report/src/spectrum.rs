//! What the power spectrum of one image says of the optics: the spectrum as a picture with the rings that were fitted,
//! and its mean over circles beside the fitted curve.

use ndarray::ArrayView2;

/// The power spectrum of an image with a fit of its rings.
#[derive(Debug, Clone)]
pub struct SpectrumFigure<'a> {
    /// What it is of, such as `image 1`.
    pub name: String,
    /// The power `[ky, kx]`, any positive numbers, frequency zero in the middle (`[ny / 2, nx / 2]`).
    pub power: ArrayView2<'a, f32>,
    /// Frequency between two elements of the power, in 1/nm.
    pub step_per_nm: f64,
    /// The rings as they were fitted: lines through `[kx, ky]` in 1/nm, zeros of the transfer or its extremes.
    pub rings_per_nm: Vec<Vec<[f64; 2]>>,
    /// Mean over circles, or over the ellipses of the fit: frequency in 1/nm and power.
    pub profile: Vec<(f64, f64)>,
    /// What was fitted to it, at frequencies of its own.
    pub fitted: Vec<(f64, f64)>,
    /// What the rings say, such as `defocus 41.2 ± 0.6 nm, astigmatism 1.9 ± 0.3 nm at 34°`.
    pub caption: String,
}
