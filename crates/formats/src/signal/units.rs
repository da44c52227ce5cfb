//! Units as files write them, in one spelling.
//!
//! Programs write `nm^-1`, `1/nm`, `[n_m]` or `A` for the same few units. Here they become what the other formats
//! have as well: a symbol of the SI with its prefix, the micro sign U+00B5, `1 / nm` for a reciprocal. What is not
//! understood stays as it is.

/// A unit with a prefix, to the power of 1 or -1.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Unit {
    /// Power of ten of the prefix.
    prefix: i32,
    base: &'static str,
    reciprocal: bool,
}

const PREFIXES: [(i32, &str); 11] = [
    (-15, "f"),
    (-12, "p"),
    (-9, "n"),
    (-6, "µ"),
    (-3, "m"),
    (0, ""),
    (3, "k"),
    (6, "M"),
    (9, "G"),
    (12, "T"),
    (15, "P"),
];

impl Unit {
    fn parse(text: &str) -> Option<Unit> {
        let text = text.trim();
        let (symbol, reciprocal) = if let Some(symbol) = text.strip_suffix("^-1").or_else(|| text.strip_suffix("**-1"))
        {
            (symbol, true)
        } else if let Some(symbol) = text.strip_prefix('1').and_then(|rest| rest.trim_start().strip_prefix('/')) {
            (symbol, true)
        } else {
            (text, false)
        };
        let (prefix, base) = symbol_of(symbol.trim())?;
        Some(Unit { prefix, base, reciprocal })
    }

    fn name(self) -> Option<String> {
        let prefix = PREFIXES.iter().find(|(power, _)| *power == self.prefix)?.1;
        Some(if self.reciprocal { format!("1 / {prefix}{}", self.base) } else { format!("{prefix}{}", self.base) })
    }

    /// The factor from this unit to another of the same kind.
    fn factor_to(self, other: Unit) -> Option<f64> {
        (self.base == other.base && self.reciprocal == other.reciprocal).then(|| {
            let power = self.prefix - other.prefix;
            10f64.powi(if self.reciprocal { -power } else { power })
        })
    }
}

fn symbol_of(symbol: &str) -> Option<(i32, &'static str)> {
    const BASES: [&str; 5] = ["m", "s", "rad", "eV", "V"];
    let word = match symbol {
        "A" | "Å" | "\u{212b}" | "angstrom" | "Angstrom" => return Some((0, "Å")),
        "micron" | "microns" => return Some((-6, "m")),
        "px" | "pixel" | "pixels" => return Some((0, "px")),
        "deg" | "degree" | "degrees" => return Some((0, "deg")),
        "meter" | "metre" | "meters" => return Some((0, "m")),
        "nanometer" | "nanometre" | "nanometers" => return Some((-9, "m")),
        "second" | "seconds" | "sec" => return Some((0, "s")),
        word => word,
    };
    for base in BASES {
        let Some(prefix) = word.strip_suffix(base) else { continue };
        // The Greek letter and plain u for micro.
        let prefix = if matches!(prefix, "u" | "μ") { "µ" } else { prefix };
        if let Some((power, _)) = PREFIXES.iter().find(|(_, name)| *name == prefix) {
            return Some((*power, base));
        }
    }
    None
}

/// A unit in the one spelling; as it is if it is not understood.
pub(super) fn tidy(unit: &str) -> String {
    Unit::parse(unit).and_then(Unit::name).unwrap_or_else(|| unit.to_owned())
}

/// A scale in the unit in which `typical` of such steps are a number from 1 to 1000, and the name of that unit.
pub(super) fn compact(scale: f64, unit: &str, typical: f64) -> (f64, String) {
    let Some(from) = Unit::parse(unit) else { return (scale, unit.to_owned()) };
    let whole = (typical * scale * 10f64.powi(if from.reciprocal { -from.prefix } else { from.prefix })).abs();
    if !(whole.is_finite() && whole > 0.0) || from.base == "px" {
        return (scale, tidy(unit));
    }
    let decades = whole.log10() / 3.0;
    let power = if from.reciprocal { (-decades).ceil() } else { decades.floor() } as i32 * 3;
    let to = Unit { prefix: power.clamp(-15, 15), ..from };
    match (from.factor_to(to), to.name()) {
        (Some(factor), Some(name)) => (scale * factor, name),
        _ => (scale, tidy(unit)),
    }
}

/// A value in another unit of the same kind; `None` if there is no way.
pub(super) fn convert(value: f64, from: &str, to: &str) -> Option<f64> {
    if from == to {
        return Some(value);
    }
    Some(value * Unit::parse(from)?.factor_to(Unit::parse(to)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_become_one() {
        for (written, tidied) in [
            ("nm^-1", "1 / nm"),
            ("1/nm", "1 / nm"),
            ("1 / um", "1 / µm"),
            ("A", "Å"),
            ("A^-1", "1 / Å"),
            ("mrad", "mrad"),
            ("micron", "µm"),
            ("keV", "keV"),
            ("n_m", "n_m"),
            ("", ""),
            ("furlong", "furlong"),
        ] {
            assert_eq!(tidy(written), tidied);
        }
    }

    #[test]
    fn scales_get_a_fitting_prefix() {
        // 2048 pixels of 7.5 pm are 15 nm; half of 64 of 576 243 per metre are 18 per micrometre.
        let (scale, unit) = compact(7.5e-12, "m", 1024.0);
        assert!((scale / 0.0075 - 1.0).abs() < 1e-12 && unit == "nm", "{scale} {unit}");
        let (scale, unit) = compact(576_243.0, "1/m", 32.0);
        assert!((scale / 0.576_243 - 1.0).abs() < 1e-12 && unit == "1 / µm", "{scale} {unit}");
        assert_eq!(compact(0.0, "m", 10.0), (0.0, "m".to_owned()));
        assert_eq!(compact(3.0, "counts", 10.0), (3.0, "counts".to_owned()));
        assert_eq!(convert(2.0, "m", "rad"), None);
        assert!((convert(-7.5e-9, "m", "nm").unwrap() + 7.5).abs() < 1e-12);
    }
}
