//! Small dense fits: least squares of curves, and the maximum of a function that has a gradient.
//!
//! Least squares go by Levenberg's and Marquardt's damped steps with differences for derivatives (D. W. Marquardt, J. Soc.
//! Indust. Appl. Math. 11, 431 (1963), doi:10.1137/0111030), maxima by the quasi-Newton steps of Broyden, Fletcher, Goldfarb and
//! Shanno (J. Nocedal and S. J. Wright, *Numerical Optimization*, 2nd ed. (2006), algorithm 6.1). Both are for a handful to
//! a few dozen parameters of like scale.

/// A symmetric matrix of positive eigenvalues as `L L^T`.
pub(crate) struct Cholesky {
    size: usize,
    /// Lower triangle, row by row, `[size][size]`.
    lower: Vec<f64>,
}

impl Cholesky {
    /// Factors a matrix `[size][size]`; `None` if it is not positive definite.
    pub(crate) fn new(matrix: &[f64], size: usize) -> Option<Cholesky> {
        let mut lower = vec![0.0; size * size];
        for i in 0..size {
            for j in 0..=i {
                let sum: f64 = (0..j).map(|k| lower[i * size + k] * lower[j * size + k]).sum();
                let rest = matrix[i * size + j] - sum;
                if i == j {
                    if rest.is_nan() || rest <= 1e-14 * matrix[i * size + i].abs() {
                        return None;
                    }
                    lower[i * size + i] = rest.sqrt();
                } else {
                    lower[i * size + j] = rest / lower[j * size + j];
                }
            }
        }
        Some(Cholesky { size, lower })
    }

    /// Solves `A x = b`.
    pub(crate) fn solve(&self, right: &[f64]) -> Vec<f64> {
        let n = self.size;
        let mut x = right.to_vec();
        for i in 0..n {
            let sum: f64 = (0..i).map(|k| self.lower[i * n + k] * x[k]).sum();
            x[i] = (x[i] - sum) / self.lower[i * n + i];
        }
        for i in (0..n).rev() {
            let sum: f64 = (i + 1..n).map(|k| self.lower[k * n + i] * x[k]).sum();
            x[i] = (x[i] - sum) / self.lower[i * n + i];
        }
        x
    }

    /// The inverse, `[size][size]`.
    pub(crate) fn inverse(&self) -> Vec<f64> {
        let n = self.size;
        let mut out = vec![0.0; n * n];
        for column in 0..n {
            let mut unit = vec![0.0; n];
            unit[column] = 1.0;
            for (row, value) in self.solve(&unit).into_iter().enumerate() {
                out[row * n + column] = value;
            }
        }
        out
    }
}

/// Parameters that fit best.
#[derive(Debug, Clone)]
pub(crate) struct Fit {
    pub(crate) parameters: Vec<f64>,
    /// Half the sum of squared residuals.
    pub(crate) cost: f64,
    /// Inverse of `J^T J`, `[n][n]`: the covariance if the residuals have variance one. `None` if a parameter has no influence.
    pub(crate) covariance: Option<Vec<f64>>,
}

/// Most steps of a fit.
const MOST_STEPS: usize = 60;

/// Minimises half the sum of squared residuals. `steps` are distances over which the residuals are nearly linear; `residuals` fills
/// its second argument, always with as many values, and may answer with values that are not finite where it makes no sense.
pub(crate) fn least_squares(start: &[f64], steps: &[f64], residuals: impl Fn(&[f64], &mut Vec<f64>)) -> Fit {
    let n = start.len();
    let half_square = |values: &[f64]| 0.5 * values.iter().map(|r| r * r).sum::<f64>();
    let mut parameters = start.to_vec();
    let (mut here, mut there) = (Vec::new(), Vec::new());
    residuals(&parameters, &mut here);
    let mut cost = half_square(&here);
    let mut damping = 1e-3;
    let mut normal = vec![0.0; n * n];
    for _ in 0..MOST_STEPS {
        let mut columns: Vec<Vec<f64>> = Vec::with_capacity(n);
        for index in 0..n {
            let mut moved = parameters.clone();
            let step = 1e-3 * steps[index];
            moved[index] += step;
            residuals(&moved, &mut there);
            columns.push(there.iter().zip(&here).map(|(a, b)| (a - b) / step).collect());
        }
        let mut slope = vec![0.0; n];
        for i in 0..n {
            slope[i] = columns[i].iter().zip(&here).map(|(a, b)| a * b).sum();
            for j in 0..=i {
                let product: f64 = columns[i].iter().zip(&columns[j]).map(|(a, b)| a * b).sum();
                normal[i * n + j] = product;
                normal[j * n + i] = product;
            }
        }
        let mut gained = None;
        while damping < 1e10 {
            let mut damped = normal.clone();
            for i in 0..n {
                damped[i * n + i] += damping * (normal[i * n + i] + 1e-12 / (steps[i] * steps[i]));
            }
            if let Some(factors) = Cholesky::new(&damped, n) {
                let change = factors.solve(&slope);
                let trial: Vec<f64> = parameters.iter().zip(&change).map(|(p, c)| p - c).collect();
                residuals(&trial, &mut there);
                let trial_cost = half_square(&there);
                if trial_cost < cost {
                    gained = Some(cost - trial_cost);
                    parameters = trial;
                    cost = trial_cost;
                    std::mem::swap(&mut here, &mut there);
                    damping = (damping * 0.2).max(1e-9);
                    break;
                }
            }
            damping *= 5.0;
        }
        match gained {
            Some(gained) if gained > 1e-9 * cost => {}
            _ => break,
        }
    }
    let covariance = Cholesky::new(&normal, n).map(|factors| factors.inverse());
    Fit { parameters, cost, covariance }
}

/// Where a function is highest.
#[derive(Debug, Clone)]
pub(crate) struct Maximum {
    pub(crate) parameters: Vec<f64>,
    pub(crate) value: f64,
}

/// Climbs from `start` to a maximum. `function` answers with its value and fills the gradient; parameters should be scaled so that
/// a change by 1 matters alike for all. `first_step` is the length of the first step.
pub(crate) fn maximise(
    start: &[f64],
    first_step: f64,
    most_steps: usize,
    function: impl Fn(&[f64], &mut [f64]) -> f64,
) -> Maximum {
    let n = start.len();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    let mut here = start.to_vec();
    let mut slope = vec![0.0; n];
    let mut value = function(&here, &mut slope);
    let norm = dot(&slope, &slope).sqrt();
    if norm.is_nan() || norm <= 0.0 {
        return Maximum { parameters: here, value };
    }
    let identity = |scale: f64| {
        let mut matrix = vec![0.0; n * n];
        (0..n).for_each(|i| matrix[i * n + i] = scale);
        matrix
    };
    let mut inverse = identity(first_step / norm);
    let mut fresh = true;
    for _ in 0..most_steps {
        let mut direction: Vec<f64> = inverse.chunks_exact(n).map(|row| dot(row, &slope)).collect();
        let mut rise = dot(&direction, &slope);
        if rise.is_nan() || rise <= 0.0 {
            inverse = identity(first_step / dot(&slope, &slope).sqrt());
            direction = inverse.chunks_exact(n).map(|row| dot(row, &slope)).collect();
            rise = dot(&direction, &slope);
            fresh = true;
        }
        let mut length = 1.0;
        let mut next_slope = vec![0.0; n];
        let step = loop {
            let next: Vec<f64> = here.iter().zip(&direction).map(|(p, d)| p + length * d).collect();
            let next_value = function(&next, &mut next_slope);
            if next_value >= value + 1e-4 * length * rise {
                break Some((next, next_value));
            }
            // The highest point of the parabola through both values, not too near either.
            let drop = next_value - value - length * rise;
            let vertex = if drop.is_finite() && drop < 0.0 { -0.5 * rise * length / drop } else { 0.1 };
            length *= vertex.clamp(0.1, 0.5);
            if length < 1e-8 {
                break None;
            }
        };
        let Some((next, next_value)) = step else { break };
        let moved: Vec<f64> = next.iter().zip(&here).map(|(a, b)| a - b).collect();
        let bent: Vec<f64> = slope.iter().zip(&next_slope).map(|(a, b)| a - b).collect();
        let curvature = dot(&moved, &bent);
        if curvature > 1e-12 * dot(&moved, &moved).sqrt() * dot(&bent, &bent).sqrt() {
            if fresh {
                inverse = identity(curvature / dot(&bent, &bent));
                fresh = false;
            }
            let turned: Vec<f64> = inverse.chunks_exact(n).map(|row| dot(row, &bent)).collect();
            let factor = (1.0 + dot(&bent, &turned) / curvature) / curvature;
            for i in 0..n {
                for j in 0..n {
                    inverse[i * n + j] +=
                        factor * moved[i] * moved[j] - (turned[i] * moved[j] + moved[i] * turned[j]) / curvature;
                }
            }
        }
        let gained = next_value - value;
        (here, value) = (next, next_value);
        slope.copy_from_slice(&next_slope);
        if gained < 1e-7 * value.abs().max(1.0) {
            break;
        }
    }
    Maximum { parameters: here, value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matrix_times_its_inverse_is_one() {
        let matrix = [4.0, 2.0, 0.6, 2.0, 5.0, 1.0, 0.6, 1.0, 3.0];
        let inverse = Cholesky::new(&matrix, 3).unwrap().inverse();
        for i in 0..3 {
            for j in 0..3 {
                let element: f64 = (0..3).map(|k| matrix[i * 3 + k] * inverse[k * 3 + j]).sum();
                assert!((element - f64::from(u8::from(i == j))).abs() < 1e-12);
            }
        }
        assert!(Cholesky::new(&[1.0, 2.0, 2.0, 1.0], 2).is_none());
    }

    /// A decay of known rate; the covariance is that of the linear theory.
    #[test]
    fn a_curve_is_fitted() {
        let places: Vec<f64> = (0..50).map(|i| 0.1 * f64::from(i)).collect();
        let fit = least_squares(&[1.0, 0.3], &[0.1, 0.1], |p, out| {
            out.clear();
            out.extend(places.iter().map(|x| p[0] * (-p[1] * x).exp() - 3.0 * (-0.7 * x).exp()));
        });
        assert!((fit.parameters[0] - 3.0).abs() < 1e-6 && (fit.parameters[1] - 0.7).abs() < 1e-6);
        let mut normal = [0.0; 4];
        for x in &places {
            let slopes = [(-0.7 * x).exp(), -3.0 * x * (-0.7 * x).exp()];
            (0..4).for_each(|i| normal[i] += slopes[i / 2] * slopes[i % 2]);
        }
        let expected = Cholesky::new(&normal, 2).unwrap().inverse();
        for (found, expected) in fit.covariance.unwrap().iter().zip(&expected) {
            assert!((found / expected - 1.0).abs() < 1e-3);
        }
    }

    /// Rosenbrock's valley (Comput. J. 3, 175 (1960)), upside down: its top is at (1, 1).
    #[test]
    fn the_top_of_a_bent_ridge_is_found() {
        let found = maximise(&[-1.2, 1.0], 0.1, 200, |p, slope| {
            let (a, b) = (1.0 - p[0], p[1] - p[0] * p[0]);
            slope[0] = 2.0 * a + 400.0 * p[0] * b;
            slope[1] = -200.0 * b;
            -(a * a + 100.0 * b * b)
        });
        assert!((found.parameters[0] - 1.0).abs() < 1e-2 && (found.parameters[1] - 1.0).abs() < 2e-2, "{found:?}");
        assert!(found.value > -1e-4);
    }
}
