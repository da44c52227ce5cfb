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
        let Written { value, ends } = self.written(Kind::Any);
        ends.map_or(value.clone(), |(low, high)| format!("{value} [{low}, {high}]"))
    }

    /// The same with a unit after the interval, such as ` %`.
    pub fn label_with(self, unit: &str) -> String {
        if self.value.is_finite() { format!("{}{unit}", self.label()) } else { self.label() }
    }

    /// The same in a sentence: `85.1 % (84.1 to 86.1 %)`.
    pub(crate) fn phrase(self, kind: Kind) -> String {
        let unit = if kind == Kind::Percent { " %" } else { "" };
        let Written { value, ends } = self.written(kind);
        ends.map_or(format!("{value}{unit}"), |(low, high)| format!("{value}{unit} ({low} to {high}{unit})"))
    }

    /// Its numbers as they are written.
    pub(crate) fn written(self, kind: Kind) -> Written {
        if !self.value.is_finite() {
            return Written { value: "–".to_owned(), ends: None };
        }
        match self.interval() {
            Some((low, high)) => {
                let most = match kind {
                    Kind::Any => 9,
                    Kind::Count if self.value.abs() >= 10.0 => 0,
                    Kind::Count | Kind::Percent => 1,
                };
                let decimals = decimals_of(self.value, low, high).min(most);
                let number = |value: f64| fixed(value, decimals);
                Written { value: number(self.value), ends: Some((number(low), number(high))) }
            }
            None => Written { value: short_number(self.value).replace('-', "−"), ends: None },
        }
    }
}

/// What a number is, as far as its digits are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// As many digits as its interval asks for.
    Any,
    /// A percentage, in tenths at most.
    Percent,
    /// An expected number of things, whole from ten on.
    Count,
}

/// An estimate as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) value: String,
    /// Both ends of the interval, if they are known.
    pub(crate) ends: Option<(String, String)>,
}

/// Two digits of the interval's half width, and at least as many as keep the smallest end from vanishing.
fn decimals_of(value: f64, low: f64, high: f64) -> usize {
    let half = 0.5 * (high - low);
    let size = if half > 0.0 { half } else { value.abs().max(low.abs()) };
    if !(size.is_finite() && size > 0.0) {
        return 0;
    }
    (1 - size.log10().floor() as i32).clamp(0, 9) as usize
}

/// A number with so many decimals and a minus sign; what rounds to nothing is written `0`.
pub(crate) fn fixed(value: f64, decimals: usize) -> String {
    let written = format!("{value:.decimals$}");
    if written.trim_matches(['-', '0', '.']).is_empty() { "0".to_owned() } else { written.replace('-', "−") }
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
            (Estimate::new(0.00001, 0.0, 0.00022), "0.00001 [0, 0.00022]"),
            (Estimate::without_interval(-3.25), "−3.25"),
            (Estimate::new(f64::NAN, 0.0, 1.0), "–"),
        ] {
            assert_eq!(estimate.label(), written);
        }
        assert_eq!(Estimate::new(0.98, 0.97, 0.99).scaled(100.0).label_with(" %"), "98.0 [97.0, 99.0] %");
        assert_eq!(Estimate::UNKNOWN.label_with(" %"), "–");
        assert_eq!(Estimate::new(137.6, 130.6, 144.7).phrase(Kind::Count), "138 (131 to 145)");
        assert_eq!(Estimate::new(85.797, 85.721, 85.886).phrase(Kind::Percent), "85.8 % (85.7 to 85.9 %)");
        assert_eq!(Estimate::new(0.0025, 0.0, 0.0).written(Kind::Count).value, "0");
    }
}
