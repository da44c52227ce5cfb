//! What is known of every site in every frame of a movie.

use ndarray::ArrayView2;

use crate::ReportError;

/// Probabilities of every site in every frame, each `[site, frame]`.
///
/// What is not finite is not known and is taken for no change. The first frame has no losses and gains.
#[derive(Debug, Clone, Copy)]
pub struct SiteStates<'a> {
    /// Probability that the site is filled.
    pub probability: ArrayView2<'a, f32>,
    /// Probability that the site was emptied since the frame before.
    pub loss: ArrayView2<'a, f32>,
    /// Probability that the site was filled since the frame before.
    pub gain: ArrayView2<'a, f32>,
}

impl SiteStates<'_> {
    /// Number of sites.
    pub fn sites(&self) -> usize {
        self.probability.nrows()
    }

    /// Number of frames.
    pub fn frames(&self) -> usize {
        self.probability.ncols()
    }

    /// Expected number of switches of a site over the whole movie.
    pub fn switches(&self, site: usize) -> f64 {
        let known = |value: &&f32| value.is_finite();
        let sum = |row: ndarray::ArrayView1<'_, f32>| row.iter().filter(known).map(|p| f64::from(*p)).sum::<f64>();
        sum(self.loss.row(site)) + sum(self.gain.row(site))
    }

    /// Whether the three arrays belong together and there is something in them.
    pub(crate) fn check(&self) -> Result<(), ReportError> {
        let (sites, frames) = self.probability.dim();
        if sites == 0 || frames == 0 {
            return Err(ReportError::Empty { what: "the movie's table of sites and frames" });
        }
        for (what, array) in [("losses", &self.loss), ("gains", &self.gain)] {
            let (found_sites, found_frames) = array.dim();
            if (found_sites, found_frames) != (sites, frames) {
                return Err(ReportError::StatesShape { what, found_sites, found_frames, sites, frames });
            }
        }
        Ok(())
    }
}
