//! Modulation and noise transfer functions of a camera.

use serde::{Deserialize, Serialize};

use crate::SimulateError;

/// A transfer function of the spatial frequency `q` in units of the detector's Nyquist frequency.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub enum TransferCurve {
    /// 1 everywhere.
    #[default]
    Perfect,
    /// `(c1 - c2) / (1 + (q / (2 c3))^c4) + c2`, as used by J. Madsen et al., Adv. Theory Simul. 1, 1800037 (2018),
    /// doi:10.1002/adts.201800037.
    Parametric {
        /// Value at q = 0.
        c1: f64,
        /// Value far beyond.
        c2: f64,
        /// Half the frequency, in units of Nyquist's, at which it has fallen half way.
        c3: f64,
        /// Steepness.
        c4: f64,
    },
    /// A measured curve: values at evenly spaced frequencies from 0 to the last one, which is Nyquist's.
    Table(Vec<f64>),
}

impl TransferCurve {
    /// Reads a measured curve as Dr. Probe and others store it: a line with the number of values, a line with the
    /// first one at frequency 0, and so on to the Nyquist frequency, one a line.
    ///
    /// # Errors
    /// A message that says which line is wrong and what was expected.
    pub fn parse_table(text: &str) -> Result<TransferCurve, String> {
        let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let (_, first) =
            lines.next().ok_or("the file is empty: expected the number of values, then one value a line")?;
        let count: usize = first
            .trim()
            .parse()
            .map_err(|_| format!("line 1 is {first:?}: expected the number of values that follow"))?;
        let mut values = Vec::new();
        for (number, line) in lines {
            let value: f64 =
                line.trim().parse().map_err(|_| format!("line {} is {line:?}: expected a number", number + 1))?;
            values.push(value);
        }
        if values.len() != count {
            return Err(format!("line 1 promises {count} values, but {} follow", values.len()));
        }
        let table = TransferCurve::Table(values);
        table.check().map_err(|error| error.to_string())?;
        Ok(table)
    }

    /// The value at a frequency in units of the detector's Nyquist frequency; a table ends level.
    pub fn at(&self, q: f64) -> f64 {
        match self {
            TransferCurve::Perfect => 1.0,
            TransferCurve::Parametric { c1, c2, c3, c4 } => (c1 - c2) / (1.0 + (q / (2.0 * c3)).powf(*c4)) + c2,
            TransferCurve::Table(values) => {
                let place = q.max(0.0) * (values.len() - 1) as f64;
                let below = (place.floor() as usize).min(values.len() - 1);
                let above = (below + 1).min(values.len() - 1);
                let share = (place - below as f64).min(1.0);
                values[below] * (1.0 - share) + values[above] * share
            }
        }
    }

    pub(super) fn check(&self) -> Result<(), SimulateError> {
        let name = "camera transfer function";
        match self {
            TransferCurve::Perfect => Ok(()),
            TransferCurve::Parametric { c1, c2, c3, c4 } => {
                let expected = "c1 and c2 from 0 to 2, c3 and c4 above 0";
                for (value, good) in [
                    (*c1, (0.0..=2.0).contains(c1)),
                    (*c2, (0.0..=2.0).contains(c2)),
                    (*c3, c3.is_finite() && *c3 > 0.0),
                    (*c4, c4.is_finite() && *c4 > 0.0),
                ] {
                    if !good {
                        return Err(SimulateError::OutOfRange { name, found: value, expected });
                    }
                }
                Ok(())
            }
            TransferCurve::Table(values) => {
                let expected = "at least two values from 0 to 2";
                if values.len() < 2 {
                    return Err(SimulateError::OutOfRange { name, found: values.len() as f64, expected });
                }
                match values.iter().find(|value| !(0.0..=2.0).contains(*value)) {
                    Some(value) => Err(SimulateError::OutOfRange { name, found: *value, expected }),
                    None => Ok(()),
                }
            }
        }
    }
}
