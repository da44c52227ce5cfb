//! TIFF and BigTIFF, of either byte order, in strips or tiles, plain or packed with LZW, deflate or PackBits.
//!
//! TIFF 6.0 (Aldus, 1992), <http://bigtiff.org>. Pages of one size and type in a row are one signal, with as many axes as the
//! maker describes ([`makers`]), and `image series` otherwise; pages of another size (previews) are signals of
//! their own. ImageJ's stacks above 4 GB, which have one directory for all images, are read as what they are. Whatever
//! the tag says about white and black, numbers are given out as they stand.
//!
//! Not read: fax, JPEG, JPEG 2000 and Zstandard compression, and samples of unusual numbers of bits; they are
//! refused by name.

mod codec;
mod directory;
mod makers;
mod pages;

use serde_json::Value;

use self::directory::Directory;
use self::makers::{Calibration, Description, describe};
use self::pages::{Page, Pages};
use super::{Axis, ByteOrder, Contiguous, Input, Signal, SignalFile};
use crate::FormatError;

pub(super) fn recognises(input: &Input) -> bool {
    let head = input.head.get(..4).unwrap_or_default();
    matches!(head, b"II*\0" | b"MM\0*" | b"II+\0" | b"MM\0+")
}

pub(super) fn open(input: &Input) -> Result<SignalFile, FormatError> {
    let mut opened = SignalFile { path: input.path.clone(), format: "TIFF", signals: Vec::new(), notes: Vec::new() };
    let mut series: Vec<(Directory, Vec<Page>)> = Vec::new();
    let mut first_error = None;
    for (number, directory) in directory::read(input)?.into_iter().enumerate() {
        match Page::read(input, &directory) {
            Ok(page) => match series.iter_mut().find(|(_, pages)| pages[0].geometry == page.geometry) {
                Some((_, pages)) => pages.push(page),
                None => series.push((directory, vec![page])),
            },
            Err(error) => {
                opened.notes.push(format!("page {} was left out: {error}", number + 1));
                opened.notes.truncate(20);
                first_error.get_or_insert(error);
            }
        }
    }
    for (number, (directory, pages)) in series.into_iter().enumerate() {
        let signal = signal(input, &directory, pages, number == 0, &mut opened.notes)?;
        opened.signals.push(signal);
    }
    match first_error {
        Some(error) if opened.signals.is_empty() => Err(error),
        _ => Ok(opened),
    }
}

fn signal(
    input: &Input,
    directory: &Directory,
    pages: Vec<Page>,
    first: bool,
    notes: &mut Vec<String>,
) -> Result<Signal, FormatError> {
    let geometry = pages[0].geometry.clone();
    let found = describe(input, directory, geometry.width, geometry.height);
    let start = pages[0].contiguous_start();
    let count = images(input, &found, &pages, start, notes);
    let mut axes = stack_axes(&found, count);
    let calibrated = |axis: Axis, calibration: &Option<Calibration>| match calibration {
        Some(found) => axis.calibrated(found.scale, found.offset, found.unit.as_str()),
        None => axis,
    };
    axes.push(calibrated(Axis::signal("height", geometry.height), &found.y));
    axes.push(calibrated(Axis::signal("width", geometry.width), &found.x));
    if geometry.samples > 1 {
        axes.push(Axis::navigation("sample", geometry.samples));
    }
    let title = found.title.clone().unwrap_or_else(|| input.stem());
    let more = count > pages.len();
    let mut signal = match start {
        // One directory for all images.
        Some(start) if more && pages.len() == 1 => {
            let elements = count as u64 * geometry.height as u64 * geometry.width as u64 * geometry.samples as u64;
            let data = Contiguous::new(input, start, elements, geometry.pixel, pages[0].order())?;
            Signal::new(&input.path, title, geometry.pixel, axes, data)?
        }
        _ => {
            let pixel = geometry.pixel;
            Signal::new(&input.path, title, pixel, axes, Pages::new(input, geometry, pages))?
        }
    };
    signal.acquisition = found.acquisition;
    let mut metadata = directory.metadata(input);
    if let Some((maker, tags)) = found.metadata {
        metadata.insert(maker.to_owned(), tags);
    }
    if first && let Some(info) = makers::image_j_info(input, directory) {
        metadata.insert("ImageJInfo".to_owned(), info.into());
    }
    signal.metadata = Value::Object(metadata);
    Ok(signal)
}

/// How many images there are: as many as directories, or as many as ImageJ says and the file holds.
fn images(input: &Input, found: &Description, pages: &[Page], start: Option<u64>, notes: &mut Vec<String>) -> usize {
    let Some(stated) = found.images.filter(|stated| *stated > 1 && pages.len() == 1) else { return pages.len() };
    let geometry = &pages[0].geometry;
    let each = geometry.width as u128 * geometry.height as u128 * (geometry.samples * geometry.pixel.bytes()) as u128;
    let fits = start.is_some_and(|start| u128::from(start) + stated as u128 * each <= u128::from(input.bytes.length()));
    if fits {
        return stated;
    }
    notes.push(format!("ImageJ's description announces {stated} images, but the file holds one"));
    1
}

/// The axes in front of y and x, if what is described has as many images as there are; otherwise one for all.
fn stack_axes(found: &Description, count: usize) -> Vec<Axis> {
    let described = found.stack.iter().try_fold(1usize, |product, (_, size)| product.checked_mul(*size));
    if described == Some(count) {
        return found.stack.iter().map(|(name, size)| stack_axis(found, name, *size)).collect();
    }
    if count == 1 { Vec::new() } else { vec![stack_axis(found, "image series", count)] }
}

fn stack_axis(found: &Description, name: &str, size: usize) -> Axis {
    let axis = Axis::navigation(name, size);
    let calibration = match name {
        "time" => found.t.as_ref(),
        "depth" => found.z.as_ref(),
        "image series" => found.t.as_ref().or(found.z.as_ref()),
        _ => None,
    };
    match calibration {
        Some(found) => axis.calibrated(found.scale, found.offset, found.unit.as_str()),
        None => axis,
    }
}
