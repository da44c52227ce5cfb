//! Numbers with the interval in which they lie, and how these are written.

use crate::scale_bar::short_number;

/// A number with its interval of 95 %. Ends that are not finite stand for an interval that is not known.
///
/// ```
/// use atomlens_report::Estimate;
/// assert_eq!(Estimate::new(0.0213, 0.0187, 0.0242).label(), "0.0213 [0.0187, 0.0242]");
/// assert_eq!(Estimate::without_interval(156.0).label(), "156");
/// assert_eq!(Estimate::UNKNOWN.label(), "–");
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The value; not finite where unknown.
    pub value: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Default for Estimate {
    fn default() -> Estimate {
        Estimate::UNKNOWN
    }
}

impl Estimate {
    /// Nothing is known.
    pub const UNKNOWN: Estimate = Estimate { value: f64::NAN, low: f64::NAN, high: f64::NAN };

    /// A value and the ends of its interval.
    pub const fn new(value: f64, low: f64, high: f64) -> Estimate {
        Estimate { value, low, high }
    }

    /// A value whose interval is not known.
    pub const fn without_interval(value: f64) -> Estimate {
        Estimate { value, low: f64::NAN, high: f64::NAN }
    }

    /// All three by a factor.
    pub fn scaled(self, factor: f64) -> Estimate {
        Estimate { value: self.value * factor, low: self.low * factor, high: self.high * factor }
    }

    /// Both ends, if they are known.
    pub fn interval(self) -> Option<(f64, f64)> {
        (self.low.is_finite() && self.high.is_finite()).then_some((self.low, self.high))
    }

    /// `value [low, high]` with digits that the interval's width asks for; `–` where the value is unknown.
    pub fn label(self) -> String {
        self.written(" ")
    }

    /// The same with a unit after the interval, such as ` %`.
    pub fn label_with(self, unit: &str) -> String {
        if self.value.is_finite() { format!("{}{unit}", self.label()) } else { self.label() }
    }

    fn written(self, space: &str) -> String {
        if !self.value.is_finite() {
            return "–".to_owned();
        }
        match self.interval() {
            Some((low, high)) => {
                let decimals = decimals_of(self.value, low, high);
                let number = |value: f64| fixed(value, decimals);
                format!("{}{space}[{}, {}]", number(self.value), number(low), number(high))
            }
            None => short_number(self.value).replace('-', "−"),
        }
    }
}

/// Two digits of the interval's half width, and at least as many as keep the smallest end from vanishing.
fn decimals_of(value: f64, low: f64, high: f64) -> usize {
    let half = 0.5 * (high - low);
    let size = if half > 0.0 { half } else { value.abs().max(low.abs()) };
    if !(size.is_finite() && size > 0.0) {
        return 0;
    }
    (1 - size.log10().floor() as i32).clamp(0, 6) as usize
}

/// A number with so many decimals and a minus sign; nothing that is written as zero has a sign.
pub(crate) fn fixed(value: f64, decimals: usize) -> String {
    let written = format!("{value:.decimals$}");
    if written.trim_matches(['-', '0', '.']).is_empty() {
        written.replace('-', "")
    } else {
        written.replace('-', "−")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_follow_the_interval() {
        for (estimate, written) in [
            (Estimate::new(0.0213, 0.0187, 0.0242), "0.0213 [0.0187, 0.0242]"),
            (Estimate::new(142.3, 133.1, 148.2), "142.3 [133.1, 148.2]"),
            (Estimate::new(1520.0, 1240.0, 1810.0), "1520 [1240, 1810]"),
            (Estimate::new(-0.5, -1.25, 0.2), "−0.50 [−1.25, 0.20]"),
            (Estimate::new(1.0, 1.0, 1.0), "1.0 [1.0, 1.0]"),
            (Estimate::new(0.0, 0.0, 0.0), "0 [0, 0]"),
            (Estimate::without_interval(-3.25), "−3.25"),
            (Estimate::new(f64::NAN, 0.0, 1.0), "–"),
        ] {
            assert_eq!(estimate.label(), written);
        }
        assert_eq!(Estimate::new(0.98, 0.97, 0.99).scaled(100.0).label_with(" %"), "98.0 [97.0, 99.0] %");
        assert_eq!(Estimate::UNKNOWN.label_with(" %"), "–");
    }
}
