//! Calibration and conditions of the recording, in the tags of each maker.
//!
//! | maker | where | pixel size in |
//! |---|---|---|
//! | ImageJ, Fiji | `ImageDescription` beginning with `ImageJ=`, resolution tags | the unit it names |
//! | DigitalMicrograph | tags 65003 to 65025 | the unit in 65003 |
//! | FEI, Thermo Fisher | tags 34680 and 34682: `[Section]` and `key=value` | m |
//! | Zeiss SEM | tag 34118: values, then names with values | m |
//! | TVIPS EM-MENU | tag 37706: a record of 244 bytes, then one of 6068 | nm |
//! | JEOL SightX | XML in `ImageDescription` | nm by way of the magnification, 1/nm by way of the camera length |
//! | Hamamatsu HPD-TA | `ImageDescription`, tables of axes at places that it names | s or a multiple, nm |
//! | OME | XML in `ImageDescription` | the unit it names |
//!
//! Resolution tags in dots an inch are the printer's, not the microscope's, and are left alone.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::super::fields::Fields;
use super::super::units::tidy;
use super::super::xml::parse_xml;
use super::super::{Acquisition, Input, acquisition::positive};
use super::directory::Directory;

pub(super) const TVIPS: u16 = 37706;
const FEI: [u16; 2] = [34682, 34680];
const ZEISS: u16 = 34118;
const DESCRIPTION: u16 = 270;

/// Calibration of one axis.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Calibration {
    pub(super) scale: f64,
    pub(super) offset: f64,
    pub(super) unit: String,
}

impl Calibration {
    fn scale(scale: f64, unit: impl Into<String>) -> Calibration {
        Calibration { scale, offset: 0.0, unit: unit.into() }
    }
}

/// What the tags say about a stack.
#[derive(Debug, Default)]
pub(super) struct Description {
    pub(super) x: Option<Calibration>,
    pub(super) y: Option<Calibration>,
    /// Slices, in depth.
    pub(super) z: Option<Calibration>,
    /// Frames, in time.
    pub(super) t: Option<Calibration>,
    /// Axes in front of y and x with their lengths, the slowest first.
    pub(super) stack: Vec<(&'static str, usize)>,
    /// Images that follow the first without a directory of their own.
    pub(super) images: Option<usize>,
    pub(super) title: Option<String>,
    pub(super) acquisition: Acquisition,
    /// The maker's own metadata.
    pub(super) metadata: Option<(&'static str, Value)>,
    pub(super) maker: &'static str,
}

/// Reads the tags of the first page.
pub(super) fn describe(input: &Input, page: &Directory, width: usize, height: usize) -> Description {
    let text = page.text(input, DESCRIPTION).unwrap_or_default();
    let make = page.text(input, 271).unwrap_or_default();
    let software = page.text(input, 305).unwrap_or_default();
    let mut found = if let Some(tag) = FEI.into_iter().find(|tag| page.has(*tag)) {
        fei(&page.text(input, tag).unwrap_or_default())
    } else if page.has(ZEISS) {
        zeiss(&page.text(input, ZEISS).unwrap_or_default(), width)
    } else if page.has(TVIPS) {
        tvips(input, page).unwrap_or_default()
    } else if make.starts_with("JEOL") && text.contains("<TemReporter") {
        jeol(input, page, &text)
    } else if software.starts_with("HPD-TA") {
        hamamatsu(input, page, &text, width, height)
    } else if text.starts_with("ImageJ=") {
        image_j(input, page, &text)
    } else if (65003..=65025).any(|tag| page.has(tag)) {
        digital_micrograph(input, page)
    } else if text.contains("<OME") {
        ome(&text)
    } else {
        described_shape(&text)
    };
    if found.acquisition.instrument.is_none() {
        found.acquisition.instrument = page.text(input, 272).filter(|model| !model.trim().is_empty());
    }
    if found.acquisition.recorded.is_none() {
        found.acquisition.recorded = page.text(input, 306).filter(|date| !date.trim().is_empty());
    }
    found
}

/// Length of a pixel along x and y by the resolution tags, in whatever unit they count.
fn by_resolution(input: &Input, page: &Directory) -> Option<(f64, f64)> {
    let pitch = |tag| page.number(input, tag).and_then(positive).map(|resolution| 1.0 / resolution);
    let x = pitch(282)?;
    Some((x, pitch(283).unwrap_or(x)))
}

/// `key=value` a line. ImageJ, class `ij.io.TiffDecoder`.
fn image_j(input: &Input, page: &Directory, text: &str) -> Description {
    let entries: BTreeMap<&str, &str> = text.lines().filter_map(|line| line.split_once('=')).collect();
    let number =
        |key: &str| entries.get(key).and_then(|value| value.trim().parse::<f64>().ok()).filter(|n| n.is_finite());
    let count = |key: &str| entries.get(key).and_then(|value| value.trim().parse::<usize>().ok()).filter(|n| *n > 0);
    // Letters beyond ASCII are written as Java does it.
    let unit = |key: &str| tidy(&entries.get(key).unwrap_or(&"").replace("\\u00B5", "µ").replace("\\u00C5", "Å"));
    let mut found = Description { maker: "ImageJ", ..Description::default() };
    if let (true, Some((x, y))) = (entries.contains_key("unit"), by_resolution(input, page)) {
        let of = |key: &str| if entries.contains_key(key) { unit(key) } else { unit("unit") };
        let origin = |key: &str, pitch: f64| number(key).map_or(0.0, |pixels| -pixels * pitch);
        found.x = Some(Calibration { scale: x, offset: origin("xorigin", x), unit: unit("unit") });
        found.y = Some(Calibration { scale: y, offset: origin("yorigin", y), unit: of("yunit") });
        found.z = number("spacing").map(|spacing| {
            let spacing = spacing.abs();
            Calibration { scale: spacing, offset: origin("zorigin", spacing), unit: of("zunit") }
        });
    }
    let interval = number("finterval").or_else(|| number("fps").and_then(positive).map(|rate| 1.0 / rate));
    if let Some(seconds) = interval.and_then(positive) {
        let unit = if entries.contains_key("tunit") { unit("tunit") } else { "s".to_owned() };
        found.acquisition.frame_time_s = (unit == "s").then_some(seconds);
        found.t = Some(Calibration::scale(seconds, unit));
    }
    found.images = count("images");
    let axes = [("frames", "time"), ("slices", "depth"), ("channels", "color|em-wavelength|channel")];
    found.stack = axes.iter().filter_map(|(key, name)| Some((*name, count(key)?))).filter(|(_, n)| *n > 1).collect();
    found
}

fn digital_micrograph(input: &Input, page: &Directory) -> Description {
    let axis = |unit: u16, origin: u16, scale: u16| {
        let scale = page.number(input, scale)?;
        let unit = page.text(input, unit).unwrap_or_default();
        Some(Calibration { scale, offset: page.number(input, origin).unwrap_or(0.0), unit: unit.trim().to_owned() })
    };
    Description {
        x: axis(65003, 65006, 65009),
        y: axis(65004, 65007, 65010),
        z: axis(65005, 65008, 65011),
        maker: "DigitalMicrograph",
        ..Description::default()
    }
}

/// `[Section]` lines and `key=value` lines as JSON.
fn sections(text: &str) -> Value {
    let mut all = Map::new();
    let (mut name, mut section) = (String::new(), Map::new());
    for line in text.lines().map(str::trim) {
        if let Some(next) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            if !section.is_empty() {
                all.insert(std::mem::take(&mut name), Value::Object(std::mem::take(&mut section)));
            }
            name = next.to_owned();
        } else if let Some((key, value)) = line.split_once('=') {
            section.insert(key.trim().to_owned(), value.trim().into());
        }
    }
    if !section.is_empty() {
        all.insert(name, Value::Object(section));
    }
    Value::Object(all)
}

/// A number that may be written as a text, with a comma for a point.
fn number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::String(text) => text.trim().replace(',', ".").parse().ok()?,
        other => other.as_f64()?,
    };
    f64::is_finite(number).then_some(number)
}

fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

fn fei(tag: &str) -> Description {
    let all = sections(tag);
    let metres = |direct: &Value, field: &Value, pixels: &Value| {
        let by_field = || Some(number(field)? / positive(number(pixels)?)?);
        number(direct)
            .and_then(positive)
            .or_else(by_field)
            .and_then(positive)
            .map(|pitch| Calibration::scale(pitch, "m"))
    };
    let (scan, infrared, image) = (&all["Scan"], &all["IRBeam"], &all["Image"]);
    Description {
        x: metres(&scan["PixelWidth"], &infrared["HFW"], &image["ResolutionX"]),
        y: metres(&scan["PixelHeight"], &infrared["VFW"], &image["ResolutionY"]),
        acquisition: Acquisition {
            voltage_kv: number(&all["Beam"]["HV"]).map(|volts| volts / 1000.0).and_then(positive),
            frame_time_s: number(&scan["FrameTime"]).and_then(positive),
            instrument: text(&all["System"]["SystemType"]),
            detector: text(&all["Detectors"]["Name"]),
            recorded: text(&all["User"]["Date"])
                .map(|date| format!("{date} {}", text(&all["User"]["Time"]).unwrap_or_default())),
            ..Acquisition::default()
        },
        metadata: Some(("FEI", all)),
        maker: "FEI",
        ..Description::default()
    }
}

/// Unnamed values first, of which the fourth is the pixel size for 1024 pixels across; then pairs of lines: a
/// name in capitals, and `Label = value unit`.
fn zeiss(tag: &str, width: usize) -> Description {
    let mut named = Map::new();
    let mut unnamed: Vec<f64> = Vec::new();
    let mut key: Option<String> = None;
    for line in tag.lines().map(str::trim) {
        let is_key = line.chars().any(|c| c.is_ascii_uppercase()) && !line.chars().any(|c| c.is_ascii_lowercase());
        match key.take() {
            _ if is_key && !line.contains('=') => key = Some(line.to_ascii_lowercase()),
            Some(key) => {
                let value =
                    line.split_once('=').or_else(|| line.split_once(':')).map_or(line, |(_, value)| value.trim());
                named.insert(key, value.into());
            }
            None if named.is_empty() => unnamed.push(line.parse().unwrap_or(f64::NAN)),
            None => {}
        }
    }
    let by_table = unnamed.get(3).copied().and_then(positive).map(|pitch| pitch * 1024.0 / width as f64);
    let with_unit = |key: &str| {
        let (value, unit) = named.get(key)?.as_str()?.split_once(' ')?;
        Some((value.trim().parse::<f64>().ok()?, tidy(unit.trim())))
    };
    let pixel = by_table
        .map(|pitch| Calibration::scale(pitch, "m"))
        .or_else(|| with_unit("ap_image_pixel_size").map(|(pitch, unit)| Calibration::scale(pitch, unit)));
    let voltage = with_unit("ap_actualkv").or_else(|| with_unit("ap_manualkv"));
    Description {
        x: pixel.clone(),
        y: pixel,
        acquisition: Acquisition {
            voltage_kv: voltage.filter(|(_, unit)| unit == "kV").and_then(|(kilovolts, _)| positive(kilovolts)),
            detector: named.get("dp_detector_type").and_then(text),
            ..Acquisition::default()
        },
        metadata: Some(("Zeiss", Value::Object(named))),
        maker: "Zeiss",
        ..Description::default()
    }
}

/// TemData of the EM-MENU manual; version 2 appends a longer record, whose numbers are used.
fn tvips(input: &Input, page: &Directory) -> Option<Description> {
    const FIRST_BYTES: u64 = 244;
    const MAGIC: u32 = 0xaaaa_aaaa;
    let start = page.place(TVIPS)?;
    let mut fields = Fields::new(input, page.order());
    fields.go_to(start).ok()?;
    let version = fields.i32().ok()?;
    let mut found = Description { maker: "TVIPS", ..Description::default() };
    let second = start.checked_add(FIRST_BYTES)?;
    let mut real = |offset: u64| -> Option<f64> {
        fields.go_to(second.checked_add(offset)?).ok()?;
        fields.f32().ok().map(f64::from).filter(|value| value.is_finite())
    };
    if version == 2 {
        let values = [2724, 2728, 3028, 3292, 3708, 3884].map(&mut real);
        fields.go_to(second.checked_add(6064)?).ok()?;
        if fields.u32().ok()? != MAGIC {
            return Some(found);
        }
        let [x, y, volts, magnification, milliseconds, dose] = values;
        let camera = fields.go_to(second.checked_add(3524)?).ok().and_then(|()| fields.bytes(160).ok())?;
        found.x = x.and_then(positive).map(|pitch| Calibration::scale(pitch, "nm"));
        found.y = y.and_then(positive).map(|pitch| Calibration::scale(pitch, "nm"));
        found.acquisition = Acquisition {
            voltage_kv: volts.map(|volts| volts / 1000.0).and_then(positive),
            magnification: magnification.and_then(positive),
            frame_time_s: milliseconds.map(|time| time / 1000.0).and_then(positive),
            detector: Some(utf16(&camera)).filter(|name| !name.is_empty()),
            ..Acquisition::default()
        };
        found.metadata = Some((
            "TVIPS",
            serde_json::json!({
                "PixelSizeX": x, "PixelSizeY": y, "TemHighTension": volts, "TemMagnification": magnification,
                "ExposureTime": milliseconds, "Dose": dose,
            }),
        ));
    }
    if found.x.is_none() {
        // Centimetres a pixel in the resolution tags.
        let (x, y) = by_resolution(input, page)?;
        found.x = Some(Calibration::scale(x * 1e-2, "m"));
        found.y = Some(Calibration::scale(y * 1e-2, "m"));
    }
    Some(found)
}

fn utf16(bytes: &[u8]) -> String {
    let units: Vec<u16> =
        bytes.as_chunks().0.iter().map(|pair| u16::from_le_bytes(*pair)).take_while(|u| *u != 0).collect();
    String::from_utf16_lossy(&units)
}

/// Resolution tags count pixels of the camera, so the magnification or the camera length makes a calibration of them.
fn jeol(input: &Input, page: &Directory, xml: &str) -> Description {
    let report = parse_xml(xml)["TemReporter"].take();
    let imaging = &report["ImageFormingSystem"];
    let volts = number(&report["ElectronGun"]["AccelerationVoltage"]);
    let value = number(&imaging["SelectorValue"]).and_then(positive);
    // 3: centimetre; else inch.
    let metres = if page.number(input, 296) == Some(3.0) { 0.01 } else { 0.0254 };
    let in_tem = report["Eos"]["EosMode"] == "eosTEM";
    let mut found = Description { maker: "JEOL", ..Description::default() };
    let calibrate = |factor: f64, unit: &str| {
        let (x, y) = by_resolution(input, page)?;
        Some((Calibration::scale(x * factor, unit), Calibration::scale(y * factor, unit)))
    };
    let calibration = match (imaging["ModeString"].as_str(), value) {
        (Some("MAG"), Some(magnification)) if in_tem => calibrate(metres / magnification * 1e9, "nm"),
        (Some("DIFF"), Some(length)) if in_tem => {
            let metre = match imaging["SelectorUnitString"].as_str() {
                Some("mm") => 1e-3,
                Some("cm") => 1e-2,
                _ => 1.0,
            };
            volts
                .and_then(positive)
                .and_then(|volts| calibrate(metres / (length * metre * wavelength_metres(volts) * 1e9), "1 / nm"))
        }
        _ => None,
    };
    (found.x, found.y) = calibration.unzip();
    found.acquisition = Acquisition {
        voltage_kv: volts.map(|volts| volts / 1000.0).and_then(positive),
        magnification: value.filter(|_| imaging["ModeString"] == "MAG"),
        recorded: text(&report["DateTime"]),
        ..Acquisition::default()
    };
    found.metadata = Some(("JEOL", report));
    found
}

/// De Broglie's, relativistic; constants of CODATA 2018.
fn wavelength_metres(volts: f64) -> f64 {
    const MASS: f64 = 9.109_383_701_5e-31;
    const CHARGE: f64 = 1.602_176_634e-19;
    const LIGHT: f64 = 299_792_458.0;
    const PLANCK: f64 = 6.626_070_15e-34;
    let energy = CHARGE * volts;
    PLANCK / (2.0 * MASS * energy * (1.0 + energy / (2.0 * MASS * LIGHT * LIGHT))).sqrt()
}

/// `[Section],key=value,key="value"` a line; the axes stand as single precision numbers at places that section Scaling
/// names.
fn hamamatsu(input: &Input, page: &Directory, description: &str, width: usize, height: usize) -> Description {
    let mut all = Map::new();
    for line in description.lines() {
        let Some((name, rest)) = line.trim().strip_prefix('[').and_then(|line| line.split_once(']')) else { continue };
        let mut pairs = Map::new();
        let mut quoted = false;
        // Commas inside of quotes belong to the value.
        for pair in rest.split(|c: char| {
            quoted ^= c == '"';
            c == ',' && !quoted
        }) {
            if let Some((key, value)) = pair.split_once('=') {
                pairs.insert(key.trim().to_owned(), value.trim().trim_matches('"').into());
            }
        }
        all.insert(name.to_owned(), Value::Object(pairs));
    }
    let all = Value::Object(all);
    let scaling = &all["Scaling"];
    let axis = |file: &str, unit: &str, count: usize| {
        let unit = scaling[unit].as_str().unwrap_or_default().to_owned();
        let place = scaling[file].as_str()?;
        let digits: String =
            place.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
        if place.starts_with("Other") || place.starts_with("Focus mode") {
            return Some(Calibration::scale(1.0, unit));
        }
        let mut fields = Fields::new(input, page.order());
        fields.go_to(digits.parse().ok()?).ok()?;
        let bytes = fields.bytes(count as u64 * 4).ok()?;
        let places: Vec<f64> = bytes.as_chunks().0.iter().map(|chunk| f32::from_le_bytes(*chunk).into()).collect();
        let (scale, offset) = line_through(&places)?;
        Some(Calibration { scale, offset, unit })
    };
    Description {
        x: axis("ScalingXScalingFile", "ScalingXUnit", width),
        y: axis("ScalingYScalingFile", "ScalingYUnit", height),
        metadata: Some(("Hamamatsu", all.clone())),
        maker: "Hamamatsu",
        ..Description::default()
    }
}

/// Slope and intercept of the least squares line through values at 0, 1, 2, ...
fn line_through(values: &[f64]) -> Option<(f64, f64)> {
    let count = values.len() as f64;
    if values.len() < 2 || values.iter().any(|value| !value.is_finite()) {
        return None;
    }
    let (middle, mean) = ((count - 1.0) / 2.0, values.iter().sum::<f64>() / count);
    let along: f64 = values.iter().zip(0..).map(|(value, i)| (f64::from(i) - middle) * (value - mean)).sum();
    let slope = along / (count * (count * count - 1.0) / 12.0);
    Some((slope, mean - slope * middle))
}

/// Attributes of the element `Pixels`; the tree of elements is not needed.
fn ome(xml: &str) -> Description {
    let pixels = xml.split("<Pixels").nth(1).and_then(|rest| rest.split('>').next()).unwrap_or_default();
    let attribute = |name: &str| {
        let (_, rest) = pixels.split_once(&format!(" {name}=\""))?;
        rest.split('"').next()
    };
    let pitch = |axis: &str| {
        let scale = attribute(&format!("PhysicalSize{axis}"))?.parse().ok().and_then(positive)?;
        let unit = attribute(&format!("PhysicalSize{axis}Unit")).unwrap_or("µm");
        Some(Calibration::scale(scale, tidy(unit)))
    };
    let names = |letter| match letter {
        'Z' => Some(("depth", "SizeZ")),
        'C' => Some(("color|em-wavelength|channel", "SizeC")),
        'T' => Some(("time", "SizeT")),
        _ => None,
    };
    let order = attribute("DimensionOrder").unwrap_or_default();
    let stack =
        order.chars().rev().filter_map(names).filter_map(|(name, size)| Some((name, attribute(size)?.parse().ok()?)));
    Description {
        x: pitch("X"),
        y: pitch("Y"),
        z: pitch("Z"),
        stack: stack.filter(|(_, size)| *size > 1).collect(),
        maker: "OME",
        ..Description::default()
    }
}

/// tifffile's description of a shape: `{"shape": [3, 64, 64]}`.
fn described_shape(text: &str) -> Description {
    let mut found = Description::default();
    if let Some(shape) = serde_json::from_str::<Value>(text).ok().as_ref().and_then(|json| json["shape"].as_array()) {
        let sizes: Vec<usize> = shape.iter().filter_map(|size| usize::try_from(size.as_u64()?).ok()).collect();
        let before = sizes.len().saturating_sub(2);
        found.stack = sizes[..before].iter().map(|size| ("", *size)).collect();
        found.maker = "tifffile";
    }
    found
}

/// The text of ImageJ's own metadata, such as DigitalMicrograph's tags that its importer kept.
pub(super) fn image_j_info(input: &Input, page: &Directory) -> Option<String> {
    const COUNTS: u16 = 50838;
    const DATA: u16 = 50839;
    let counts = page.integers(input, COUNTS).ok()??;
    let header = *counts.first()?;
    let start = page.place(DATA)?;
    let mut fields = Fields::new(input, page.order());
    fields.go_to(start).ok()?;
    let head = fields.bytes(header).ok()?;
    // After the magic letters come types of four letters and how many of each.
    let types = head.get(4..)?.as_chunks::<8>().0;
    let mut place = 1;
    for entry in types {
        let mut count = [entry[4], entry[5], entry[6], entry[7]];
        page.order().to_little(&mut count, 4);
        let count = u32::from_le_bytes(count) as usize;
        let mut name = [entry[0], entry[1], entry[2], entry[3]];
        page.order().to_little(&mut name, 4);
        // "info", as a number in the file's byte order.
        if &name == b"ofni" || &entry[..4] == b"info" {
            let bytes = fields.bytes(*counts.get(place)?).ok()?;
            let units: Vec<u16> = bytes
                .as_chunks::<2>()
                .0
                .iter()
                .map(|pair| {
                    if page.order() == super::ByteOrder::Big {
                        u16::from_be_bytes(*pair)
                    } else {
                        u16::from_le_bytes(*pair)
                    }
                })
                .collect();
            return Some(String::from_utf16_lossy(&units)).filter(|text| !text.is_empty());
        }
        for length in counts.get(place..place.checked_add(count)?)? {
            fields.skip(*length).ok()?;
        }
        place += count;
    }
    None
}
