//! TIA (Emispec, FEI): data in `.ser`, metadata in `.emi`, read.
//!
//! The layout of SER was worked out by its users, Chris Boothroyd foremost
//! (<https://www.er-c.org/cbb/info/TIAformat/>); versions 0x0210 (32-bit places) and 0x0220 (64-bit) are known. A file
//! `name.emi` describes the series `name_1.ser`, `name_2.ser`, ..., each in a piece of XML that follows the name of the
//! SER file. Opening the EMI gives all series that lie beside it; opening a SER gives that series, with what an EMI
//! beside it says of the recording.
//!
//! Images are stored with the lowest row first and handed out with the highest first, as everywhere.
//!
//! **Calibration.** Lengths are in metres in the file; the scale of an axis is given in nm. Patterns of a camera in
//! diffraction mode have reciprocal metres, which only the EMI tells: opened through it their scale is in `1 / nm`,
//! while a SER opened by itself calls them nm (and says so in the notes if an EMI lies beside it). Offsets are handed out as the file has them, in
//! metres or reciprocal metres, as other readers do.

mod emi;
mod ser;

use std::path::PathBuf;

use self::emi::Emi;
use super::{Input, SignalFile};
use crate::{FormatError, Problem};

pub(super) fn recognises_ser(input: &Input) -> bool {
    // Byte order "II", and the number that says that this is a series.
    input.head.starts_with(&[0x49, 0x49, 0x97, 0x01])
}

pub(super) fn recognises_emi(input: &Input) -> bool {
    input.head.starts_with(&[0x4a, 0x4b]) && input.extension == "emi"
}

pub(super) fn open_ser(input: &Input) -> Result<SignalFile, FormatError> {
    let mut notes = Vec::new();
    let mut signal = ser::read(input, false, &mut notes)?;
    let stem = input.stem();
    if let Some((base, number)) = stem.rsplit_once('_').and_then(|(base, n)| Some((base, n.parse::<u32>().ok()?))) {
        // The EMI is a bonus: one that cannot be read takes nothing from the data.
        let emi = Input::open(&input.path.with_file_name(format!("{base}.emi"))).and_then(|input| Emi::read(&input));
        if let Some(description) = emi.ok().as_ref().and_then(|emi| emi.of_series(number)) {
            description.describe(&mut signal);
            if description.is_diffraction() {
                let advice = "the axes are reciprocal: open the .emi file for their unit";
                notes.push(format!("{base}.emi says that a camera recorded this in diffraction mode; {advice}"));
            }
        }
    }
    Ok(SignalFile { path: input.path.clone(), format: "TIA series (SER)", signals: vec![signal], notes })
}

pub(super) fn open_emi(input: &Input) -> Result<SignalFile, FormatError> {
    let emi = Emi::read(input)?;
    let mut notes = Vec::new();
    let mut signals = Vec::new();
    for (number, path) in series_beside(input)? {
        let series = Input::open(&path)?;
        if !recognises_ser(&series) {
            let found = "no TIA series".to_owned();
            return Err(series.malformed(Problem::NotThisFormat { expected: "a TIA series (SER)", found }));
        }
        let description = emi.of_series(number);
        let diffraction = description.is_some_and(|description| description.is_diffraction());
        let mut signal = ser::read(&series, diffraction, &mut notes)?;
        if let Some(description) = description {
            description.describe(&mut signal);
        }
        signals.push(signal);
    }
    if signals.is_empty() {
        return Err(input.malformed(Problem::Missing {
            what: format!("{}_1.ser", input.stem()),
            advice: "an EMI file only describes the SER files beside it, which hold the data; copy them too",
        }));
    }
    Ok(SignalFile { path: input.path.clone(), format: "TIA (EMI and SER)", signals, notes })
}

/// The files `name_N.ser` in the folder of `name.emi`, by their numbers.
fn series_beside(input: &Input) -> Result<Vec<(u32, PathBuf)>, FormatError> {
    let failed = |error| FormatError::Read { path: input.path.clone(), error };
    let folder = match input.path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    let start = format!("{}_", input.stem());
    let mut series = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let number = name.strip_prefix(&start).and_then(|rest| {
            rest.strip_suffix(".ser")
                .or_else(|| rest.strip_suffix(".SER"))
                .filter(|n| n.bytes().all(|b| b.is_ascii_digit()))
        });
        if let Some(number) = number.and_then(|number| number.parse().ok()) {
            series.push((number, path));
        }
    }
    series.sort();
    Ok(series)
}
