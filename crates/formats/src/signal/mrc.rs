//! MRC and its relatives (`.mrc`, `.mrcs`, `.st`, `.rec`, `.map`), read.
//!
//! Defined in MRC2014 (A. Cheng et al., doi:10.1016/j.jsb.2015.04.002; <https://www.ccpem.ac.uk/mrc-format/mrc2014/>), with
//! IMOD's modes (<https://bio3d.colorado.edu/imod/doc/mrc_format.txt>): 0 bytes (signed, unless IMOD's stamp or the largest
//! value says otherwise), 1 and 6 16-bit numbers, 2 single precision, 3 and 4 complex numbers (of 16-bit
//! integers, which become single precision, and of single precision), 7 32-bit numbers, 12 half precision, 16 colours, 101 four bits a
//! pixel (which become bytes). Both byte orders, also inside gzip.
//!
//! The cell's lengths over `mx`, `my` are the pixel size, in angstrom in the file and in nm here; zero and -1 stand for an
//! unknown one and are handed out as they are. Of the extended headers FEI1, FEI2 (Thermo Fisher's EPU specification) and the
//! old FEI one are understood, and of Direct Electron's cameras the text file `..._info.txt` beside the data.

use serde_json::{Map, Value, json};

use super::acquisition::positive;
use super::fields::{Fields, text_of};
use super::{Acquisition, Axis, ByteOrder, Contiguous, Elements, Input, PixelType, Signal, SignalFile};
use crate::{FormatError, Problem};

const HEADER_BYTES: u64 = 1024;
/// "IMOD" as a number.
const IMOD_STAMP: i32 = 1_146_047_817;

pub(super) fn recognises(input: &Input) -> bool {
    if input.head.len() < HEADER_BYTES as usize {
        return false;
    }
    if input.head[208..211] == *b"MAP" {
        return true;
    }
    // Files from before 2000 have no such word; then the header must make sense.
    matches!(input.extension.as_str(), "mrc" | "mrcs" | "st" | "ali" | "preali" | "rec" | "map" | "ccp4")
        && byte_order(input).is_some()
}

pub(super) fn open(input: &Input) -> Result<SignalFile, FormatError> {
    let mut notes = Vec::new();
    let order = byte_order(input).ok_or_else(|| {
        input.malformed(Problem::NotThisFormat {
            expected: "an MRC file; is it damaged?",
            found: "in neither byte order are its lengths and its mode those of an image".to_owned(),
        })
    })?;
    let header = Header::read(input, order)?;
    let storage = header.storage(input, &mut notes)?;
    let [nx, ny, nz] = header.lengths;
    let (nx64, ny64, nz64) = (nx as u64, ny as u64, nz as u64);
    let offset = HEADER_BYTES + header.extended_bytes;
    // Rows of half bytes end with a whole one.
    let stored_row = if header.mode == 101 { nx64.div_ceil(2) } else { nx64 };
    let stored = stored_row.checked_mul(ny64).and_then(|product| product.checked_mul(nz64));
    let stored = stored.ok_or_else(|| {
        let found = u128::from(nx64) * u128::from(ny64);
        input.malformed(Problem::TooMany { what: "pixels of an image", found, limit: u64::MAX.into() })
    })?;
    // The parts of a complex integer are numbers of their own.
    let stored = if header.mode == 3 { stored.saturating_mul(2) } else { stored };
    let plain = Contiguous::new(input, offset, stored, storage.stored, order)?;
    let data: Box<dyn Elements> = match header.mode {
        3 => Box::new(ComplexIntegers(plain)),
        101 => Box::new(HalfBytes { bytes: plain, nx: nx64, stored_row }),
        _ => Box::new(plain),
    };
    let extended = Extended::read(input, &header, order)?;
    let pixel_nm = |place: usize, extended: Option<f64>| {
        let header = header.pitch_nm(place);
        if header == 0.0 { extended.unwrap_or(0.0) } else { header }
    };
    let mut axes = vec![
        Axis::signal("y", ny).calibrated(pixel_nm(1, extended.pixel_nm.map(|p| p.1)), header.origin_nm(1), "nm"),
        Axis::signal("x", nx).calibrated(pixel_nm(0, extended.pixel_nm.map(|p| p.0)), header.origin_nm(0), "nm"),
    ];
    if nz > 1 {
        let pitch = header.pitch_nm(2);
        axes.insert(
            0,
            Axis::navigation("z", nz).calibrated(if pitch == 0.0 { 1.0 } else { pitch }, header.origin_nm(2), ""),
        );
    }
    let mut signal = Signal::new(&input.path, input.stem(), storage.pixel, axes, data)?;
    signal.acquisition = extended.acquisition;
    let mut metadata = header.to_json();
    if let Some(map) = metadata.as_object_mut() {
        map.extend(extended.metadata);
    }
    if let Some(info) = direct_electron_info(input) {
        describe_direct_electron(&mut signal, &info);
        metadata["direct_electron"] = json!(info);
    }
    signal.metadata = metadata;
    Ok(SignalFile { path: input.path.clone(), format: "MRC", signals: vec![signal], notes })
}

/// The byte order in which the header makes sense; the machine stamp, which some programs leave empty, decides if both do.
fn byte_order(input: &Input) -> Option<ByteOrder> {
    let makes_sense = |order: ByteOrder| {
        let word = |place: usize| {
            let bytes = input.head.get(place..place + 4)?.try_into().ok()?;
            Some(if order == ByteOrder::Big { i32::from_be_bytes(bytes) } else { i32::from_le_bytes(bytes) })
        };
        let lengths = [word(0), word(4), word(8)];
        lengths.into_iter().all(|length| length.is_some_and(|length| length > 0))
            && word(12).is_some_and(|mode| matches!(mode, 0..=4 | 6 | 7 | 12 | 16 | 101))
            && word(92).is_some_and(|bytes| bytes >= 0)
    };
    let stamped = if input.head.get(212) == Some(&0x11) { ByteOrder::Big } else { ByteOrder::Little };
    let other = if stamped == ByteOrder::Big { ByteOrder::Little } else { ByteOrder::Big };
    [stamped, other].into_iter().find(|order| makes_sense(*order))
}

struct Header {
    /// x, y, z.
    lengths: [usize; 3],
    mode: i32,
    sampling: [i32; 3],
    cell_angstrom: [f32; 3],
    /// Lowest, highest, mean.
    density: [f32; 3],
    space_group: i32,
    extended_bytes: u64,
    extended_kind: String,
    imod: Option<i32>,
    origin_angstrom: [f32; 3],
    labels: Vec<String>,
}

/// How the pixels are stored, and as what they are handed out.
struct Storage {
    stored: PixelType,
    pixel: PixelType,
}

impl Header {
    fn read(input: &Input, order: ByteOrder) -> Result<Header, FormatError> {
        let mut fields = Fields::new(input, order);
        let mut whole = || fields.i32();
        let lengths = [whole()?, whole()?, whole()?].map(|length| length.max(0) as usize);
        let mode = whole()?;
        fields.skip(12)?;
        let sampling = [fields.i32()?, fields.i32()?, fields.i32()?];
        let cell_angstrom = [fields.f32()?, fields.f32()?, fields.f32()?];
        fields.go_to(76)?;
        let density = [fields.f32()?, fields.f32()?, fields.f32()?];
        let (space_group, extended_bytes) = (fields.i32()?, fields.i32()?);
        fields.go_to(104)?;
        let extended_kind = fields.text(4)?;
        fields.go_to(152)?;
        let (stamp, flags) = (fields.i32()?, fields.i32()?);
        fields.go_to(196)?;
        let origin_angstrom = [fields.f32()?, fields.f32()?, fields.f32()?];
        fields.go_to(220)?;
        let count = fields.i32()?.clamp(0, 10);
        let labels = (0..count).map(|_| fields.bytes(80).map(|b| text_of(&b).trim_end().to_owned()));
        Ok(Header {
            lengths,
            mode,
            sampling,
            cell_angstrom,
            density,
            space_group,
            extended_bytes: extended_bytes.max(0) as u64,
            extended_kind,
            imod: (stamp == IMOD_STAMP).then_some(flags),
            origin_angstrom,
            labels: labels.collect::<Result<_, _>>()?,
        })
    }

    fn storage(&self, input: &Input, notes: &mut Vec<String>) -> Result<Storage, FormatError> {
        let alike = |pixel| Storage { stored: pixel, pixel };
        Ok(match self.mode {
            0 => {
                let unsigned = match self.imod {
                    Some(flags) => flags & 1 == 0,
                    None => self.density[1] > 127.0 && self.density[0] >= 0.0,
                };
                let how = if unsigned { "0 to 255" } else { "-128 to 127, as MRC2014 has it" };
                notes.push(format!("mode 0: bytes are taken as {how}"));
                alike(if unsigned { PixelType::U8 } else { PixelType::I8 })
            }
            1 => alike(PixelType::I16),
            2 => alike(PixelType::F32),
            3 => Storage { stored: PixelType::I16, pixel: PixelType::Complex64 },
            4 => alike(PixelType::Complex64),
            6 => alike(PixelType::U16),
            7 => alike(PixelType::I32),
            12 => alike(PixelType::F16),
            16 => alike(PixelType::Rgb8),
            101 => alike(PixelType::U8),
            mode => {
                return Err(input.malformed(Problem::Invalid {
                    what: "the mode of the MRC file",
                    found: mode.to_string(),
                    expected: "0, 1, 2, 3, 4, 6, 7, 12, 16 or 101",
                }));
            }
        })
    }

    /// Distance between pixels; 0 where the header has none.
    fn pitch_nm(&self, place: usize) -> f64 {
        let samples = self.sampling[place];
        let pitch = f64::from(self.cell_angstrom[place]) / f64::from(samples) / 10.0;
        if samples == 0 || !pitch.is_finite() { 0.0 } else { pitch }
    }

    fn origin_nm(&self, place: usize) -> f64 {
        let origin = f64::from(self.origin_angstrom[place]) / 10.0;
        if origin.is_finite() { origin } else { 0.0 }
    }

    fn to_json(&self) -> Value {
        json!({
            "nx": self.lengths[0], "ny": self.lengths[1], "nz": self.lengths[2], "mode": self.mode,
            "mx_my_mz": self.sampling, "cell_angstrom": self.cell_angstrom, "min_max_mean": self.density,
            "space_group": self.space_group, "extended_header_bytes": self.extended_bytes,
            "extended_header_type": self.extended_kind, "imod_flags": self.imod,
            "origin_angstrom": self.origin_angstrom, "labels": self.labels,
        })
    }
}

/// Complex numbers of two 16-bit integers.
struct ComplexIntegers(Contiguous);

impl Elements for ComplexIntegers {
    fn read(&self, first: u64, count: usize) -> Result<Vec<u8>, FormatError> {
        let parts = self.0.read(first * 2, count * 2)?;
        let parts = parts.as_chunks::<2>().0.iter().map(|part| f32::from(i16::from_le_bytes(*part)));
        Ok(parts.flat_map(f32::to_le_bytes).collect())
    }
}

/// Two pixels a byte, the lower half first.
struct HalfBytes {
    bytes: Contiguous,
    nx: u64,
    stored_row: u64,
}

impl Elements for HalfBytes {
    fn read(&self, first: u64, count: usize) -> Result<Vec<u8>, FormatError> {
        let place = |element: u64| element / self.nx * self.stored_row + element % self.nx / 2;
        let (start, end) = (place(first), place(first + count as u64 - 1) + 1);
        let bytes = self.bytes.read(start, (end - start) as usize)?;
        let half = |element: u64| {
            let byte = bytes[(place(element) - start) as usize];
            if (element % self.nx).is_multiple_of(2) { byte & 15 } else { byte >> 4 }
        };
        Ok((first..first + count as u64).map(half).collect())
    }
}

/// What the extended header says of the first image.
#[derive(Default)]
struct Extended {
    /// x, y.
    pixel_nm: Option<(f64, f64)>,
    acquisition: Acquisition,
    metadata: Map<String, Value>,
}

impl Extended {
    fn read(input: &Input, header: &Header, order: ByteOrder) -> Result<Extended, FormatError> {
        match header.extended_kind.as_str() {
            "FEI1" | "FEI2" if header.extended_bytes >= 768 => Extended::of_epu(input, order),
            // The old extended header has a record of 128 bytes for each of 1024 images.
            "" if header.extended_bytes == 131_072 => Extended::of_old_fei(input, order),
            _ => Ok(Extended::default()),
        }
    }

    /// Metadata of version 0 to 2; places by the specification, units SI.
    fn of_epu(input: &Input, order: ByteOrder) -> Result<Extended, FormatError> {
        let mut fields = Fields::new(input, order);
        let mut number = |place: u64| -> Result<Option<f64>, FormatError> {
            fields.go_to(HEADER_BYTES + place)?;
            fields.f64().map(positive)
        };
        let (tension, dose) = (number(84)?, number(92)?);
        let (pixel_x, pixel_y) = (number(156)?, number(164)?);
        let (magnification, camera_length, exposure) = (number(289)?, number(301)?, number(419)?);
        fields.go_to(HEADER_BYTES + 220)?;
        let defocus = fields.f64()?;
        fields.go_to(HEADER_BYTES)?;
        let (size, version) = (fields.i32()?, fields.i32()?);
        let mut text = |place: u64| -> Result<Option<String>, FormatError> {
            fields.go_to(HEADER_BYTES + place)?;
            let text = fields.text(16)?.trim().to_owned();
            Ok((!text.is_empty()).then_some(text))
        };
        let (microscope, number, application, camera) = (text(20)?, text(36)?, text(52)?, text(435)?);
        let mut metadata = Map::new();
        metadata.insert(
            "fei".to_owned(),
            json!({
                "metadata_size": size, "metadata_version": version, "microscope": microscope, "d_number": number,
                "application": application, "camera": camera, "high_tension_v": tension, "dose_e_per_m2": dose,
                "pixel_size_x_m": pixel_x, "pixel_size_y_m": pixel_y, "defocus_m": defocus,
                "magnification": magnification, "camera_length_m": camera_length, "integration_time_s": exposure,
            }),
        );
        Ok(Extended {
            pixel_nm: pixel_x.zip(pixel_y).map(|(x, y)| (x * 1e9, y * 1e9)),
            acquisition: Acquisition {
                voltage_kv: tension.map(|volts| volts / 1e3),
                dose_e_per_a2: dose.map(|dose| dose / 1e20),
                frame_time_s: exposure,
                magnification,
                camera_length_mm: camera_length.map(|metres| metres * 1e3),
                defocus_nm: (defocus.is_finite() && defocus != 0.0).then_some(defocus * 1e9),
                instrument: microscope,
                detector: camera,
                recorded: None,
            },
            metadata,
        })
    }

    /// Tilts, stage, shift, defocus, exposure, mean, tilt axis, pixel size, magnification, tension, ..., in SI units.
    fn of_old_fei(input: &Input, order: ByteOrder) -> Result<Extended, FormatError> {
        let mut fields = Fields::new(input, order);
        fields.go_to(HEADER_BYTES)?;
        let record = (0..16).map(|_| fields.f32().map(f64::from)).collect::<Result<Vec<_>, _>>()?;
        // Other programs use the place for other things.
        let (pixel, tension) = (record[11], record[13]);
        if !(1e-13..1e-4).contains(&pixel) || !(1e4..1e7).contains(&tension) {
            return Ok(Extended::default());
        }
        let mut metadata = Map::new();
        metadata.insert("fei_first_image".to_owned(), json!(record));
        Ok(Extended {
            pixel_nm: Some((pixel * 1e9, pixel * 1e9)),
            acquisition: Acquisition {
                voltage_kv: Some(tension / 1e3),
                frame_time_s: positive(record[8]),
                magnification: positive(record[12]),
                defocus_nm: (record[7].is_finite() && record[7] != 0.0).then_some(record[7] * 1e9),
                ..Acquisition::default()
            },
            metadata,
        })
    }
}

/// The settings of a Direct Electron camera: `name_info.txt` for `name_movie.mrc`, `name_0_sum.mrc` and the like.
fn direct_electron_info(input: &Input) -> Option<Map<String, Value>> {
    const LONGEST: u64 = 1 << 20;
    let stem = input.stem();
    let mut base = stem.as_str();
    loop {
        let path = input.path.with_file_name(format!("{base}_info.txt"));
        if path.is_file() {
            let info = Input::open(&path).ok().filter(|info| info.bytes.length() <= LONGEST)?;
            let text = text_of(&info.read(0, info.bytes.length() as usize).ok()?);
            let entries = text.lines().filter_map(|line| line.split_once('='));
            return Some(entries.map(|(key, value)| (key.trim().to_owned(), json!(value.trim()))).collect());
        }
        base = base.rsplit_once('_')?.0;
    }
}

fn describe_direct_electron(signal: &mut Signal, info: &Map<String, Value>) {
    let text = |key: &str| info.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let number = |key: &str| text(key)?.parse::<f64>().ok().and_then(positive);
    let frame_time = number("Frames Per Second").map(|rate| 1.0 / rate);
    let rate = number("Exposure Rate (e-/pix/s)");
    let pixel = number("Specimen Pixel Size X (nanometers)").zip(number("Specimen Pixel Size Y (nanometers)"));
    let acquisition = &mut signal.acquisition;
    acquisition.voltage_kv = number("Instrument Accelerating Voltage (V)").map(|volts| volts / 1e3);
    acquisition.frame_time_s = frame_time;
    acquisition.magnification = number("Instrument Project Magnification");
    acquisition.camera_length_mm = number("Instrument Project Camera Length (centimeters)").map(|length| length * 10.0);
    acquisition.detector = text("Camera Name").or(text("Camera Model")).map(str::to_owned);
    acquisition.instrument = text("Instrument Project Name").filter(|name| *name != "Unknown").map(str::to_owned);
    if let (Some(rate), Some(time), Some((x, y))) = (rate, frame_time, pixel) {
        acquisition.dose_e_per_a2 = Some(rate * time / (x * y * 100.0));
    }
}
