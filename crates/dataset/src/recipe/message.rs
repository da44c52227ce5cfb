//! Messages about recipes that say what is wrong and what to write instead.

use crate::DatasetError;

/// Turns the parser's error into ours: with the line, the nearest known key, and what to do about the mistakes that people make.
pub(crate) fn explain(error: &toml::de::Error, text: &str) -> DatasetError {
    let place = error
        .span()
        .map(|span| {
            let line = text[..span.start.min(text.len())].matches('\n').count() + 1;
            format!("line {line}: ")
        })
        .unwrap_or_default();
    let raw = error.message();
    let message = unknown_key(raw)
        .or_else(|| missing_key(raw))
        .or_else(|| bare_spread(raw, error, text))
        .unwrap_or_else(|| raw.trim_end().replace('\n', "; "));
    DatasetError::Recipe { place, message }
}

/// Serde lists what it knows: "unknown field `a`, expected one of `b`, `c`". The nearest of them is named first.
fn unknown_key(raw: &str) -> Option<String> {
    let (kind, rest) = if let Some(rest) = raw.strip_prefix("unknown field ") {
        ("key", rest)
    } else {
        ("value", raw.strip_prefix("unknown variant ")?)
    };
    let mut quoted = rest.split('`').skip(1).step_by(2);
    let found = quoted.next()?;
    let known: Vec<&str> = quoted.collect();
    if let Some(width) = ["focal_spread", "angular_spread"].into_iter().find(|width| found.starts_with(width)) {
        return Some(format!("{found} says no convention: {}", spread_advice(width)));
    }
    let nearest = known.iter().max_by(|a, b| similarity(found, a).total_cmp(&similarity(found, b)));
    let hint = nearest.map(|nearest| format!("; the nearest is {nearest}")).unwrap_or_default();
    // The convention of a spread is a key, which to serde is a variant.
    let kind = if known.iter().any(|known| known.starts_with("one_over_e")) { "key" } else { kind };
    let list = if known.is_empty() { "no key here".to_owned() } else { known.join(", ") };
    Some(format!("unknown {kind} {found}{hint} (known here: {list})"))
}

/// Serde calls keys fields.
fn missing_key(raw: &str) -> Option<String> {
    let key = raw.strip_prefix("missing field ")?.trim().trim_matches('`');
    Some(format!("the key {key} is missing here; `atomlens recipe show gold` prints a recipe with every part"))
}

/// A spread given as a bare number.
fn bare_spread(raw: &str, error: &toml::de::Error, text: &str) -> Option<String> {
    let span = error.span()?;
    let line_start = text[..span.start.min(text.len())].rfind('\n').map_or(0, |at| at + 1);
    let line = text[line_start..].lines().next()?;
    let key = line.split('=').next()?.trim();
    let width = ["focal_spread", "angular_spread"].into_iter().find(|width| key.ends_with(width))?;
    (raw.contains("invalid type") || raw.contains("wanted") || raw.contains("expected"))
        .then(|| format!("{key} says no convention: {}", spread_advice(width)))
}

fn spread_advice(width: &str) -> String {
    let unit = if width == "focal_spread" { "angstrom" } else { "mrad" };
    format!(
        "a spread means different things to different programs; write {width} = {{ one_over_e_{unit} = .. }}, \
         {{ standard_deviation_{unit} = .. }} or {{ full_width_half_maximum_{unit} = .. }} (abTEM and Dr. Probe use 1 / e)"
    )
}

/// Likeness of two keys, 0 to 1: the words before the unit count, and so does the whole, so that `defocus_nm`
/// finds `defocus_angstrom`.
fn similarity(a: &str, b: &str) -> f64 {
    let first = |key: &str| key.split('_').next().unwrap_or("").to_owned();
    strsim::jaro_winkler(a, b) + 0.5 * strsim::jaro_winkler(&first(a), &first(b))
}
