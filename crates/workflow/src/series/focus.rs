//! The focus of the images of a series: who says what it is.
//!
//! Underfocus is positive here. Instruments that write a defocus into their files (those of FEI and Thermo Fisher in EMD and
//! MRC) count underfocus negative, so a file's value changes its sign. Whatever the sign, the origin of an instrument's defocus is where
//! somebody pressed a button: of values from files only the differences are used.

use atomlens_formats::signal::Axis;
use serde::Serialize;

use super::SeriesError;
use crate::WorkflowError;
use crate::detect::source::Source;

/// Two images closer in focus are at the same focus: noise and drift say more than their difference.
pub(super) const SMALLEST_STEP_ANGSTROM: f64 = 1.0;

/// Who says what the focus is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FocusFrom {
    /// The user, for each image.
    User,
    /// The user, by the step from image to image.
    UserStep,
    /// The files.
    Files,
}

impl FocusFrom {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            FocusFrom::User => "as given with --defocus-angstrom",
            FocusFrom::UserStep => "by the step given with --defocus-step-angstrom",
            FocusFrom::Files => "as the files state it",
        }
    }

    /// Whether the values themselves are known, and not their differences only.
    pub fn is_absolute(self) -> bool {
        self == FocusFrom::User
    }
}

/// The focus of every image of a series, whether the image can be used or not.
#[derive(Debug, Clone, PartialEq)]
pub struct Focus {
    /// Defocus of each, underfocus positive; from the first image on where only differences are known.
    pub defocus_angstrom: Vec<f64>,
    /// Who says so.
    pub from: FocusFrom,
    /// What the user should know about it.
    pub notes: Vec<String>,
}

/// An image of a series and the file that it is in.
pub(super) struct Where<'a> {
    /// The file, if it could be opened.
    pub(super) source: Option<&'a Source>,
    /// Number of the image along the file's axis of focus.
    pub(super) along: usize,
}

/// The focus of the images of the series `name`.
///
/// # Errors
/// If nobody says what it is, or there are more or fewer values than images.
pub(super) fn of_images(
    name: &str,
    images: &[Where<'_>],
    user: Option<&[f64]>,
    user_step: Option<f64>,
) -> Result<Focus, WorkflowError> {
    if let Some(values) = user {
        if values.len() != images.len() {
            let plural = if values.len() == 1 { "" } else { "s" };
            return Err(WorkflowError::Setting {
                what: "--defocus-angstrom",
                found: format!("{} value{plural}", values.len()),
                expected: format!("{}, one for each image of {name}", images.len()),
            });
        }
        return Ok(Focus { defocus_angstrom: values.to_vec(), from: FocusFrom::User, notes: Vec::new() });
    }
    if let Some(step) = user_step {
        let defocus_angstrom = (0..images.len()).map(|number| step * number as f64).collect();
        return Ok(Focus { defocus_angstrom, from: FocusFrom::UserStep, notes: Vec::new() });
    }
    of_files(images).map_err(|found| SeriesError::NoFocusStep { name: name.to_owned(), found }.into())
}

/// What the files say; else why that is not enough.
fn of_files(images: &[Where<'_>]) -> Result<Focus, String> {
    let by_axis: Vec<Option<f64>> = images.iter().map(|image| along_axis(image.source?, image.along)).collect();
    let by_file: Vec<Option<f64>> = images.iter().map(|image| image.source?.acquisition().defocus_nm).collect();
    let one_file = images.windows(2).all(|pair| match (pair[0].source, pair[1].source) {
        (Some(one), Some(other)) => one.path == other.path,
        _ => false,
    });
    let known = if by_axis.iter().any(Option::is_some) { by_axis } else { by_file };
    // Images of files that cannot be opened are not used, whatever their focus.
    let readable = |image: &Where<'_>| image.source.is_some();
    let missing = images.iter().zip(&known).filter(|(image, value)| readable(image) && value.is_none()).count();
    let stated = known.iter().flatten().count();
    match (stated, missing) {
        (0, _) => return Err("the files state no defocus".to_owned()),
        (_, 1..) => return Err(format!("the files state the defocus of {stated} of {} images", stated + missing)),
        _ => {}
    }
    let first = known.iter().flatten().next().copied().unwrap_or(0.0);
    if one_file && known.iter().flatten().all(|value| *value == first) {
        return Err(format!("the file states one defocus ({first} nm) for all its images"));
    }
    // An image without a focus stands where its neighbour does; it is never used.
    let defocus_angstrom: Vec<f64> = known.iter().map(|value| -10.0 * (value.unwrap_or(first) - first)).collect();
    let steps: Vec<String> = known.iter().flatten().map(|value| format!("{:.1}", -10.0 * (value - first))).collect();
    let note = format!(
        "defocus from the files, whose negative values are taken as underfocus: {} angstrom from the first image on; give \
         --defocus-step-angstrom if the instrument counts otherwise",
        steps.join(", ")
    );
    Ok(Focus { defocus_angstrom, from: FocusFrom::Files, notes: vec![note] })
}

/// Place of an image along an axis that is called focus and has a unit of length, in nm.
fn along_axis(source: &Source, along: usize) -> Option<f64> {
    let axis: &Axis = source.axis_before_image()?;
    let name = axis.name.to_lowercase();
    (name.contains("focus") && axis.scale != 0.0).then(|| axis.place_nm(along)).flatten()
}

/// Two images at the same focus, by their numbers.
pub(super) fn equal_pair(defocus_angstrom: impl IntoIterator<Item = (usize, f64)>) -> Option<[usize; 2]> {
    let mut sorted: Vec<(usize, f64)> = defocus_angstrom.into_iter().collect();
    sorted.sort_by(|one, other| one.1.total_cmp(&other.1));
    let close = |pair: &&[(usize, f64)]| pair[1].1 - pair[0].1 < SMALLEST_STEP_ANGSTROM;
    sorted.windows(2).find(close).map(|pair| [pair[0].0.min(pair[1].0), pair[0].0.max(pair[1].0)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images(count: usize) -> Vec<Where<'static>> {
        (0..count).map(|along| Where { source: None, along }).collect()
    }

    #[test]
    fn the_user_says_the_values_or_the_step() {
        let focus = of_images("a.tif", &images(3), Some(&[100.0, 50.0, 0.0]), None).unwrap();
        assert_eq!(focus.defocus_angstrom, [100.0, 50.0, 0.0]);
        assert!(focus.from.is_absolute());
        let focus = of_images("a.tif", &images(3), None, Some(-50.0)).unwrap();
        assert_eq!(focus.defocus_angstrom, [0.0, -50.0, -100.0]);
        assert!(!focus.from.is_absolute());
        let error = of_images("a.tif", &images(3), Some(&[100.0, 50.0]), None).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("2 values") && error.to_string().contains('3'), "{error}");
        let error = of_images("a.tif", &images(3), None, None).unwrap_err();
        assert!(error.to_string().contains("no focus step"), "{error}");
    }

    #[test]
    fn images_at_one_focus_are_found_in_any_order() {
        assert_eq!(equal_pair([50.0, 0.0, 50.2].into_iter().enumerate()), Some([0, 2]));
        assert_eq!(equal_pair([50.0, 0.0, -50.0].into_iter().enumerate()), None);
    }
}
