//! What the columns of a series say, and what they do not, in sentences.

use super::Found;

/// A species is sure from this probability on.
const SURE: f64 = 0.95;

/// What can be concluded.
pub(super) fn can(found: &Found<'_>) -> Vec<String> {
    let mut sentences = Vec::new();
    if !found.columns.is_empty() {
        let sure = found.columns.iter().filter(|column| column.species_probability >= SURE).count();
        sentences.push(format!(
            "{} columns were found; the species of {} of them has a probability of {:.0} % or more.",
            found.columns.len(),
            sure,
            100.0 * SURE
        ));
    }
    let Some(sheet) = &found.sheet else { return sentences };
    for count in &sheet.summary.counts {
        if count.expected >= 0.5 {
            sentences.push(format!(
                "{}: {:.1} ± {:.1} in {:.1} nm², {:.4} per nm² (95 %: {:.4} to {:.4}).",
                capitalised(count.kind.label()),
                count.expected,
                count.expected_sigma,
                count.area_nm2,
                count.per_nm2,
                count.per_nm2_low,
                count.per_nm2_high
            ));
        }
    }
    sentences
}

/// What cannot.
pub(super) fn cannot(found: &Found<'_>) -> Vec<String> {
    let mut sentences = vec![
        "A column's species is one of those that the model knows; another element is given to the likest of them."
            .to_owned(),
        "Which of the two layers of a pair lacks its atom cannot be told from images along the beam.".to_owned(),
    ];
    match &found.sheet {
        Some(_) => sentences.push(
            "Sites at edges and at the border of the field are listed and not counted: there nobody knows what is missing."
                .to_owned(),
        ),
        None => sentences.push("The columns are no sheet of one lattice, so that nothing is said of its defects.".to_owned()),
    }
    if !found.placed.focus_from.is_absolute() {
        sentences.push("The defocus itself is not known, only its steps.".to_owned());
    }
    sentences
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
