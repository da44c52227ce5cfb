//! Descriptions of series.
//!
//! The container of an EMI file is not known; inside it, the name of every SER file is followed by a piece of XML,
//! `<ObjectInfo>`, with the conditions of the recording. That is what is read.

use serde_json::{Map, Value};

use super::super::acquisition::positive;
use super::super::fields::text_of;
use super::super::xml::parse_xml;
use super::super::{Acquisition, Input, Signal};
use crate::{FormatError, Problem};

/// An EMI file also holds previews, but is far below this.
const LONGEST_FILE: u64 = 1 << 30;
const START: &[u8] = b"<ObjectInfo>";
const END: &[u8] = b"</ObjectInfo>";

/// The descriptions in an EMI file.
pub(super) struct Emi {
    /// By the number of the series, where a name with a number precedes it.
    descriptions: Vec<(Option<u32>, Description)>,
}

/// What an EMI file says of a series.
pub(super) struct Description {
    tree: Value,
}

impl Emi {
    pub(super) fn read(input: &Input) -> Result<Emi, FormatError> {
        let length = input.bytes.length();
        if length > LONGEST_FILE {
            let (found, limit) = (length.into(), LONGEST_FILE.into());
            return Err(input.malformed(Problem::TooMany { what: "bytes of an EMI file", found, limit }));
        }
        let content = input.read(0, length as usize)?;
        let mut descriptions = Vec::new();
        let mut place = 0;
        while let Some(start) = find(&content, START, place) {
            let Some(end) = find(&content, END, start) else { break };
            let end = end + END.len();
            let tree = parse_xml(&text_of(&content[start..end]));
            // Others belong to displays, and are empty but for a number.
            if tree.pointer("/ObjectInfo/ExperimentalDescription").is_some() {
                let number = series_number(&content[place..start]);
                descriptions.push((number, Description { tree }));
            }
            place = end;
        }
        Ok(Emi { descriptions })
    }

    /// The description of a series by its number; the first one if none is numbered so.
    pub(super) fn of_series(&self, number: u32) -> Option<&Description> {
        let numbered = self.descriptions.iter().find(|(found, _)| *found == Some(number));
        numbered.or(self.descriptions.first()).map(|(_, description)| description)
    }
}

/// The number N of the last name `..._N.ser` in a piece of the file.
fn series_number(piece: &[u8]) -> Option<u32> {
    let end = piece.windows(4).rposition(|window| window == b".ser")?;
    let digits = piece[..end].iter().rev().take_while(|byte| byte.is_ascii_digit()).count().min(9);
    let start = end - digits;
    if digits == 0 || start == 0 || piece[start - 1] != b'_' {
        return None;
    }
    std::str::from_utf8(&piece[start..end]).ok()?.parse().ok()
}

fn find(content: &[u8], word: &[u8], from: usize) -> Option<usize> {
    let rest = content.get(from..)?;
    // Comparing the first letter alone first makes megabytes of pixels pass quickly.
    let mut place = 0;
    while let Some(step) = rest[place..].iter().position(|byte| *byte == word[0]) {
        place += step;
        if rest[place..].starts_with(word) {
            return Some(from + place);
        }
        place += 1;
    }
    None
}

impl Description {
    /// A camera in diffraction mode: its axes are reciprocal. In scanning, "diffraction" names the lens' state and
    /// the detector is none with pixels.
    pub(super) fn is_diffraction(&self) -> bool {
        let camera = self.tree.pointer("/ObjectInfo/AcquireInfo/CameraNamePath").is_some();
        camera && self.labelled("Mode").is_some_and(|(mode, _)| mode.contains("Diffraction"))
    }

    /// An entry of the list of labels, values and units.
    fn labelled(&self, label: &str) -> Option<(&str, &str)> {
        let entries = self.tree.pointer("/ObjectInfo/ExperimentalDescription/Root/Data")?;
        let entry = entries.as_array()?.iter().find(|entry| entry["Label"] == label)?;
        Some((entry["Value"].as_str()?, entry["Unit"].as_str().unwrap_or_default()))
    }

    /// Adds to a signal what is known of its recording.
    pub(super) fn describe(&self, signal: &mut Signal) {
        let text =
            |path: &str| self.tree.pointer(&format!("/ObjectInfo/{path}")).and_then(Value::as_str).map(str::trim);
        let number = |path: &str| text(path)?.split_whitespace().next()?.parse().ok().and_then(positive);
        let value = |label: &str| self.labelled(label)?.0.trim().parse::<f64>().ok();
        let volts: Option<f64> = number("ExperimentalConditions/MicroscopeConditions/AcceleratingVoltage");
        let detector = text("AcquireInfo/CameraNamePath").or_else(|| text("AcquireInfo/DetectorNamePath"));
        signal.acquisition = Acquisition {
            voltage_kv: value("High tension").and_then(positive).or(volts.map(|volts| volts / 1e3)),
            frame_time_s: number("AcquireInfo/DwellTimePath"),
            magnification: value("Magnification").and_then(positive),
            camera_length_mm: value("Camera length").and_then(positive).map(|metres| metres * 1e3),
            instrument: self.labelled("Microscope").map(|(name, _)| name.trim().to_owned()),
            detector: detector.filter(|name| !name.is_empty()).map(str::to_owned),
            recorded: text("AcquireDate").map(str::to_owned),
            ..Acquisition::default()
        };
        let mut map = match signal.metadata.take() {
            Value::Object(map) => map,
            _ => Map::new(),
        };
        map.insert("emi".to_owned(), self.tree.clone());
        signal.metadata = Value::Object(map);
    }
}
