//! Numbers that sum up many columns.

use atomlens_core::DetectedColumn;

use crate::neighbours::nearest_distances;

/// What is counted and averaged over the columns of some frames.
#[derive(Debug, Clone, Default)]
pub(crate) struct Statistics {
    pub(crate) probabilities: Vec<f64>,
    pub(crate) sigmas_pm: Vec<f64>,
    pub(crate) atoms: Vec<f64>,
    pub(crate) neighbours_nm: Vec<f64>,
}

impl Statistics {
    /// Adds the columns of one frame.
    pub(crate) fn add(&mut self, columns: &[DetectedColumn]) {
        let places: Vec<[f64; 2]> = columns.iter().map(|c| [0.1 * c.x_angstrom, 0.1 * c.y_angstrom]).collect();
        self.neighbours_nm.extend(nearest_distances(&places).into_iter().flatten());
        for column in columns {
            self.probabilities.push(column.probability);
            self.sigmas_pm.push(100.0 * column.position_sigma_angstrom);
            self.atoms.push(column.atoms);
        }
    }

    /// Adds what was counted elsewhere.
    pub(crate) fn merge(&mut self, other: &Statistics) {
        self.probabilities.extend(&other.probabilities);
        self.sigmas_pm.extend(&other.sigmas_pm);
        self.atoms.extend(&other.atoms);
        self.neighbours_nm.extend(&other.neighbours_nm);
    }

    pub(crate) fn columns(&self) -> usize {
        self.probabilities.len()
    }
}

/// The middle of the finite values.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut finite: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    finite.sort_unstable_by(f64::total_cmp);
    let last = finite.len().checked_sub(1)?;
    Some(0.5 * (finite[last / 2] + finite[last.div_ceil(2)]))
}

/// A median with its unit, or a dash.
pub(crate) fn median_label(values: &[f64], decimals: usize, unit: &str) -> String {
    median(values).map_or("–".to_owned(), |value| format!("{value:.decimals$}{unit}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_as_numpy_has_them() {
        assert_eq!(median(&[3.0, 1.0, f64::NAN, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), Some(2.5));
        assert_eq!(median(&[]), None);
        assert_eq!(median_label(&[], 1, " pm"), "–");
        assert_eq!(median_label(&[1.25], 2, " pm"), "1.25 pm");
    }
}
