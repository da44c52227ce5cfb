//! Distributions of a recipe's knobs.

use rand::{Rng, RngExt};
use rand_distr::Distribution as _;
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// How a number of a recipe is drawn.
///
/// In TOML a plain number is always that number; otherwise a table with one key:
///
/// ```
/// # #[derive(serde::Deserialize)] struct R { a: D, b: D, c: D, d: D, e: D }
/// # use atomlens_core::Distribution as D;
/// let recipe: R = toml::from_str(r#"
/// a = 80.0
/// b = { uniform = [40.0, 200.0] }
/// c = { log_uniform = [1e2, 1e4] }
/// d = { normal = [0.0, 25.0] }       # mean, standard deviation
/// e = { choice = [0, 1, 2] }
/// "#).unwrap();
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(into = "DistributionTable")]
pub enum Distribution {
    /// Always this value.
    Constant(f64),
    /// Even between two bounds.
    Uniform(f64, f64),
    /// Even in the logarithm between two positive bounds.
    LogUniform(f64, f64),
    /// Gaussian with a mean and a standard deviation.
    Normal(f64, f64),
    /// One of these, all equally likely.
    Choice(Vec<f64>),
}

impl Distribution {
    /// Draws one value.
    pub fn sample(&self, random: &mut impl Rng) -> f64 {
        match self {
            Distribution::Constant(value) => *value,
            Distribution::Uniform(low, high) => low + (high - low) * random.random::<f64>(),
            Distribution::LogUniform(low, high) => (low.ln() + (high / low).ln() * random.random::<f64>()).exp(),
            Distribution::Normal(mean, deviation) => {
                let unit: f64 = rand_distr::StandardNormal.sample(random);
                mean + deviation * unit
            }
            Distribution::Choice(values) => values[random.random_range(0..values.len())],
        }
    }

    /// Draws one value and rounds it to a whole number, at least 0.
    pub fn sample_count(&self, random: &mut impl Rng) -> usize {
        // `as` saturates: a negative draw is 0.
        self.sample(random).round() as usize
    }

    /// The lowest and highest value that can be drawn; the normal distribution is taken to end at
    /// four standard deviations.
    pub fn range(&self) -> (f64, f64) {
        match self {
            Distribution::Constant(value) => (*value, *value),
            Distribution::Uniform(low, high) | Distribution::LogUniform(low, high) => (*low, *high),
            Distribution::Normal(mean, deviation) => (mean - 4.0 * deviation, mean + 4.0 * deviation),
            Distribution::Choice(values) => values
                .iter()
                .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(*value), high.max(*value))),
        }
    }

    fn checked(self) -> Result<Distribution, String> {
        let finite = |values: &[f64]| values.iter().all(|value| value.is_finite());
        match &self {
            Distribution::Constant(value) if !value.is_finite() => Err(format!("{value} is not a finite number")),
            Distribution::Uniform(low, high) if !finite(&[*low, *high]) || low > high => {
                Err(format!("uniform = [{low}, {high}] needs two finite bounds, the lower one first"))
            }
            Distribution::LogUniform(low, high) if !finite(&[*low, *high]) || low > high || *low <= 0.0 => {
                Err(format!("log_uniform = [{low}, {high}] needs two positive bounds, the lower one first"))
            }
            Distribution::Normal(mean, deviation) if !finite(&[*mean, *deviation]) || *deviation < 0.0 => Err(format!(
                "normal = [{mean}, {deviation}] needs a finite mean and a standard deviation that is not negative"
            )),
            Distribution::Choice(values) if values.is_empty() || !finite(values) => {
                Err("choice = [..] needs at least one finite number".to_owned())
            }
            _ => Ok(self),
        }
    }
}

impl From<f64> for Distribution {
    fn from(value: f64) -> Distribution {
        Distribution::Constant(value)
    }
}

impl<'de> Deserialize<'de> for Distribution {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DistributionVisitor)
    }
}

struct DistributionVisitor;

impl<'de> Visitor<'de> for DistributionVisitor {
    type Value = Distribution;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(
            "a number, or one of { uniform = [low, high] }, { log_uniform = [low, high] }, \
             { normal = [mean, standard_deviation] }, { choice = [a, b, ..] }",
        )
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Distribution, E> {
        Distribution::Constant(value).checked().map_err(E::custom)
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Distribution, E> {
        Ok(Distribution::Constant(value as f64))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Distribution, E> {
        Ok(Distribution::Constant(value as f64))
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Distribution, A::Error> {
        const KEYS: &[&str] = &["uniform", "log_uniform", "normal", "choice"];
        let Some(key) = map.next_key::<String>()? else {
            return Err(de::Error::custom(
                "an empty table is no distribution: expected uniform, log_uniform, normal or choice",
            ));
        };
        let distribution = match key.as_str() {
            "uniform" => map.next_value::<[f64; 2]>().map(|[low, high]| Distribution::Uniform(low, high)),
            "log_uniform" => map.next_value::<[f64; 2]>().map(|[low, high]| Distribution::LogUniform(low, high)),
            "normal" => map.next_value::<[f64; 2]>().map(|[mean, deviation]| Distribution::Normal(mean, deviation)),
            "choice" => map.next_value().map(Distribution::Choice),
            _ => return Err(de::Error::unknown_field(&key, KEYS)),
        }?;
        if let Some(second) = map.next_key::<String>()? {
            return Err(de::Error::custom(format!("a distribution has one key, found {key} and {second}")));
        }
        distribution.checked().map_err(de::Error::custom)
    }
}

/// How a distribution is written out.
#[derive(Serialize)]
#[serde(untagged)]
enum DistributionTable {
    Constant(f64),
    Uniform { uniform: [f64; 2] },
    LogUniform { log_uniform: [f64; 2] },
    Normal { normal: [f64; 2] },
    Choice { choice: Vec<f64> },
}

impl From<Distribution> for DistributionTable {
    fn from(distribution: Distribution) -> DistributionTable {
        match distribution {
            Distribution::Constant(value) => DistributionTable::Constant(value),
            Distribution::Uniform(low, high) => DistributionTable::Uniform { uniform: [low, high] },
            Distribution::LogUniform(low, high) => DistributionTable::LogUniform { log_uniform: [low, high] },
            Distribution::Normal(mean, deviation) => DistributionTable::Normal { normal: [mean, deviation] },
            Distribution::Choice(choice) => DistributionTable::Choice { choice },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SeedPath;

    #[derive(Debug, Deserialize, Serialize)]
    struct Recipe {
        knob: Distribution,
    }

    fn parse(text: &str) -> Result<Distribution, String> {
        toml::from_str::<Recipe>(&format!("knob = {text}")).map(|r| r.knob).map_err(|e| e.message().to_owned())
    }

    #[test]
    fn draws_stay_in_range_and_have_the_right_mean() {
        for (text, mean) in [
            ("3", 3.0),
            ("{ uniform = [1, 3] }", 2.0),
            ("{ log_uniform = [1.0, 100.0] }", 99.0 / 100.0_f64.ln()),
            ("{ normal = [5, 2] }", 5.0),
            ("{ choice = [1, 2, 6] }", 3.0),
        ] {
            let distribution = parse(text).unwrap();
            let mut random = SeedPath::new(3).child(text).stream();
            let draws: Vec<f64> = (0..20_000).map(|_| distribution.sample(&mut random)).collect();
            let (low, high) = distribution.range();
            assert!(matches!(distribution, Distribution::Normal(..)) || draws.iter().all(|d| (low..=high).contains(d)));
            let found = draws.iter().sum::<f64>() / draws.len() as f64;
            // The widest of them has a standard deviation of 26: three standard errors are 0.55.
            assert!(
                (found - mean).abs() < 0.55_f64.min(0.05 * (high - low) + 1e-9),
                "{text}: {found}, expected {mean}"
            );
        }
    }

    #[test]
    fn what_cannot_be_drawn_is_refused() {
        for text in
            ["{ uniform = [3, 1] }", "{ log_uniform = [0, 1] }", "{ normal = [0, -1] }", "{ choice = [] }", "nan"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse("{ unifrm = [1, 2] }").unwrap_err().contains("unifrm"));
        assert!(parse("{ uniform = [1, 2], choice = [1] }").unwrap_err().contains("one key"));
        assert!(parse("\"big\"").unwrap_err().contains("a number"));
    }

    #[test]
    fn written_and_read_again() {
        for text in ["3.0", "{ uniform = [1.0, 3.0] }", "{ choice = [1.0, 2.0] }"] {
            let knob = parse(text).unwrap();
            let written = toml::to_string(&Recipe { knob: knob.clone() }).unwrap();
            assert_eq!(toml::from_str::<Recipe>(&written).unwrap().knob, knob);
        }
    }
}
