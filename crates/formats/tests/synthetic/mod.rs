//! Small files of microscopes' formats, written field by field from the formats' descriptions.
#![allow(dead_code, reason = "every test uses a part")]

use std::io::Write;

/// Order of the bytes of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Little,
    Big,
}

/// Bytes that grow field by field.
#[derive(Default, Clone)]
pub(crate) struct Bytes(pub(crate) Vec<u8>);

macro_rules! put {
    ($($name:ident: $number:ty),*) => {$(
        pub(crate) fn $name(&mut self, order: Order, value: $number) -> &mut Self {
            let bytes = if order == Order::Little { value.to_le_bytes() } else { value.to_be_bytes() };
            self.0.extend(bytes);
            self
        }
    )*};
}

impl Bytes {
    put!(u16: u16, i16: i16, u32: u32, i32: i32, u64: u64, f32: f32, f64: f64);

    pub(crate) fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend(bytes);
        self
    }
}

/// A tag of a DigitalMicrograph file.
pub(crate) enum DmTag {
    Group(Vec<(&'static str, DmTag)>),
    U32(u32),
    F32(f32),
    F64(f64),
    /// A structure of two 32-bit numbers.
    Pair(i32, i32),
    Text(&'static str),
    /// Type of the elements as a description, their number, their bytes in the file's order.
    Array(Vec<u64>, u64, Vec<u8>),
}

/// A DigitalMicrograph file of version 3 or 4.
pub(crate) fn dm(version: u32, order: Order, tags: &[(&'static str, DmTag)]) -> Vec<u8> {
    let wide = version == 4;
    let mut body = Bytes::default();
    dm_group(&mut body, wide, order, tags);
    let mut file = Bytes::default();
    file.u32(Order::Big, version);
    dm_size(&mut file, wide, body.0.len() as u64);
    file.u32(Order::Big, u32::from(order == Order::Little));
    file.raw(&body.0).raw(&[0; 8]);
    file.0
}

fn dm_size(out: &mut Bytes, wide: bool, value: u64) {
    if wide {
        out.u64(Order::Big, value);
    } else {
        out.u32(Order::Big, value as u32);
    }
}

fn dm_group(out: &mut Bytes, wide: bool, order: Order, tags: &[(&'static str, DmTag)]) {
    out.raw(&[1, 0]);
    dm_size(out, wide, tags.len() as u64);
    for (name, tag) in tags {
        let mut content = Bytes::default();
        let kind = match tag {
            DmTag::Group(tags) => {
                dm_group(&mut content, wide, order, tags);
                20
            }
            _ => {
                dm_data(&mut content, wide, order, tag);
                21
            }
        };
        out.raw(&[kind]).u16(Order::Big, name.len() as u16).raw(name.as_bytes());
        if wide {
            out.u64(Order::Big, content.0.len() as u64);
        }
        out.raw(&content.0);
    }
}

fn dm_data(out: &mut Bytes, wide: bool, order: Order, tag: &DmTag) {
    let mut describe = |words: &[u64]| {
        out.raw(b"%%%%");
        dm_size(out, wide, words.len() as u64);
        words.iter().for_each(|word| dm_size(out, wide, *word));
    };
    match tag {
        DmTag::Group(_) => unreachable!("groups are no data"),
        DmTag::U32(value) => {
            describe(&[5]);
            out.u32(order, *value);
        }
        DmTag::F32(value) => {
            describe(&[6]);
            out.f32(order, *value);
        }
        DmTag::F64(value) => {
            describe(&[7]);
            out.f64(order, *value);
        }
        DmTag::Pair(a, b) => {
            describe(&[15, 0, 2, 0, 3, 0, 3]);
            out.i32(order, *a).i32(order, *b);
        }
        DmTag::Text(text) => {
            let units: Vec<u16> = text.encode_utf16().collect();
            describe(&[20, 4, units.len() as u64]);
            units.iter().for_each(|unit| {
                out.u16(order, *unit);
            });
        }
        DmTag::Array(element, count, bytes) => {
            describe(&[&[20], element.as_slice(), &[*count]].concat());
            out.raw(bytes);
        }
    }
}

/// An image of a DigitalMicrograph file: type of the pixels, lengths (the fastest first), array of pixels.
pub(crate) fn dm_image(code: u32, sizes: &[u32], data: DmTag) -> DmTag {
    let calibration = |scale: f32| {
        DmTag::Group(vec![("Origin", DmTag::F32(2.0)), ("Scale", DmTag::F32(scale)), ("Units", DmTag::Text("nm"))])
    };
    let calibrations =
        sizes.iter().enumerate().map(|(place, _)| ("", calibration(0.25 * (place + 1) as f32))).collect();
    let dimensions = sizes.iter().map(|size| ("", DmTag::U32(*size))).collect();
    DmTag::Group(vec![
        (
            "ImageData",
            DmTag::Group(vec![
                ("Calibrations", DmTag::Group(vec![("Dimension", DmTag::Group(calibrations))])),
                ("Data", data),
                ("DataType", DmTag::U32(code)),
                ("Dimensions", DmTag::Group(dimensions)),
            ]),
        ),
        (
            "ImageTags",
            DmTag::Group(vec![
                (
                    "Microscope Info",
                    DmTag::Group(vec![
                        ("Voltage", DmTag::F64(300_000.0)),
                        ("Indicated Magnification", DmTag::F64(1e6)),
                        ("Name", DmTag::Text("Titan")),
                    ]),
                ),
                ("DataBar", DmTag::Group(vec![("Exposure Time (s)", DmTag::F64(0.5))])),
            ]),
        ),
        ("Name", DmTag::Text("image")),
    ])
}

/// A file with a preview and one image of 16-bit pixels 0, 1, 2, ...
pub(crate) fn dm_with_preview(version: u32, order: Order, sizes: &[u32]) -> Vec<u8> {
    let count: u32 = sizes.iter().product();
    let mut pixels = Bytes::default();
    (0..count).for_each(|value| {
        pixels.u16(order, value as u16);
    });
    let preview = DmTag::Array(vec![3], 4, vec![0; 16]);
    let images = vec![
        ("", dm_image(23, &[2, 2], preview)),
        ("", dm_image(10, sizes, DmTag::Array(vec![4], count.into(), pixels.0))),
    ];
    let previews = vec![("", DmTag::Group(vec![("ImageIndex", DmTag::U32(0)), ("Pixels", DmTag::Pair(2, 2))]))];
    dm(version, order, &[("ImageList", DmTag::Group(images)), ("Thumbnails", DmTag::Group(previews))])
}

/// A series of TIA: images of 3 x 2 pixels, or spectra of 3 channels, of 32-bit numbers 0, 1, 2, ... from the top
pub(crate) fn ser(wide: bool, images: bool, positions: &[u32]) -> Vec<u8> {
    use Order::Little;
    let count: u32 = positions.iter().product();
    let mut file = Bytes::default();
    file.raw(b"II").u16(Little, 0x0197).u16(Little, if wide { 0x0220 } else { 0x0210 });
    file.u32(Little, if images { 0x4122 } else { 0x4120 }).u32(Little, 0x4142).u32(Little, count).u32(Little, count);
    let table_place = file.0.len();
    file.raw(&vec![0; if wide { 8 } else { 4 }]).u32(Little, positions.len() as u32);
    for size in positions {
        file.u32(Little, *size).f64(Little, 1e-9).f64(Little, 2e-9).u32(Little, 0);
        file.u32(Little, 8).raw(b"Position").u32(Little, 6).raw(b"meters");
    }
    let (mut places, mut tags) = (Vec::new(), Vec::new());
    for element in 0..count {
        places.push(file.0.len() as u64);
        for _ in 0..if images { 2 } else { 1 } {
            file.f64(Little, -1e-9).f64(Little, 0.5e-10).u32(Little, 0);
        }
        file.u16(Little, 6).u32(Little, 3);
        if images {
            file.u32(Little, 2);
        }
        let pixels = if images { 6 } else { 3 };
        for pixel in 0..pixels {
            // Of an image the lowest row comes first.
            let pixel = if images { 3 - pixel / 3 * 3 + pixel % 3 } else { pixel };
            file.i32(Little, (element * pixels + pixel) as i32);
        }
        tags.push(file.0.len() as u64);
        file.u16(Little, 0x4142).u16(Little, 0).u32(Little, 1_456_073_586).f64(Little, 1e-9).f64(Little, 2e-9);
    }
    let table = file.0.len() as u64;
    for place in places.into_iter().chain(tags) {
        if wide {
            file.u64(Little, place);
        } else {
            file.u32(Little, place as u32);
        }
    }
    let table = table.to_le_bytes();
    let width = if wide { 8 } else { 4 };
    file.0[table_place..table_place + width].copy_from_slice(&table[..width]);
    file.0
}

/// The description of a series by TIA.
pub(crate) fn emi(name: &str, camera: bool) -> Vec<u8> {
    let camera = if camera { "<CameraNamePath>Ceta</CameraNamePath>" } else { "" };
    let text = format!(
        "C:\\data\\{name}_1.ser\0\0<ObjectInfo><ExperimentalDescription><Root>\
        <Data><Label>High tension</Label><Value>300</Value><Unit>kV</Unit></Data>\
        <Data><Label>Microscope</Label><Value>Titan</Value><Unit></Unit></Data>\
        <Data><Label>Mode</Label><Value>TEM uP SA Zoom Diffraction</Value><Unit></Unit></Data>\
        <Data><Label>Camera length</Label><Value>0.49</Value><Unit>m</Unit></Data>\
        </Root></ExperimentalDescription><AcquireInfo>{camera}</AcquireInfo></ObjectInfo>"
    );
    [b"JK\0\x02", text.as_bytes()].concat()
}

/// A recording of TVIPS: frames of 3 columns and 2 rows of 16-bit numbers 0, 1, 2, ...
pub(crate) fn tvips(version: u32, mode: u32, frames: u32) -> Vec<u8> {
    use Order::Little;
    let mut file = Bytes::default();
    for word in [256, version, 3, 2, 16, 0, 0, 1, 1, 15_000, 200, 50_000, 60] {
        file.u32(Little, word);
    }
    file.0.resize(256, 0);
    for frame in 0..frames {
        file.u32(Little, frame).u32(Little, 740_399_696).u32(Little, frame * 20);
        if version == 2 {
            file.u32(Little, 0).f32(Little, 23.0).u32(Little, 0).u32(Little, mode).raw(&[0; 32]);
        }
        for pixel in 0..6 {
            file.u16(Little, (frame * 6 + pixel) as u16);
        }
    }
    file.0
}

/// An MRC file of 3 columns, 2 rows and 2 sections in some mode; `data` as the file has it.
pub(crate) fn mrc(order: Order, mode: i32, extended: (&[u8; 4], &[u8]), data: &[u8]) -> Vec<u8> {
    let mut file = Bytes::default();
    for word in [3, 2, 2, mode, 0, 0, 0, 3, 2, 2] {
        file.i32(order, word);
    }
    // A cell of 7.5 x 5 x 4 angstrom: pixels of 2.5 angstrom.
    for value in [7.5, 5.0, 4.0, 90.0, 90.0, 90.0] {
        file.f32(order, value);
    }
    for word in [1, 2, 3] {
        file.i32(order, word);
    }
    file.f32(order, 0.0).f32(order, 11.0).f32(order, 5.5).i32(order, 0).i32(order, extended.1.len() as i32);
    file.0.resize(104, 0);
    file.raw(extended.0);
    file.0.resize(208, 0);
    file.raw(b"MAP ").raw(if order == Order::Little { &[0x44, 0x44, 0, 0] } else { &[0x11, 0x11, 0, 0] });
    file.f32(order, 1.0).i32(order, 1).raw(b"made for a test");
    file.0.resize(1024, 0);
    file.raw(extended.1).raw(data);
    file.0
}

/// The numbers 0, 1, ... 11 as an MRC file in the modes of single numbers.
pub(crate) fn mrc_counting(order: Order, mode: i32) -> Vec<u8> {
    let mut data = Bytes::default();
    for value in 0..12 {
        match mode {
            0 => data.raw(&[value as u8]),
            1 | 6 => data.u16(order, value),
            2 => data.f32(order, value.into()),
            3 => data.i16(order, value as i16).i16(order, 0),
            4 => data.f32(order, value.into()).f32(order, 0.0),
            _ => panic!("mode {mode}"),
        };
    }
    mrc(order, mode, (&[0; 4], &[]), &data.0)
}

/// The extended header of EPU for one image, with what a reader looks for.
pub(crate) fn fei1() -> Vec<u8> {
    let mut record = vec![0; 768];
    let mut put = |place: usize, bytes: &[u8]| record[place..place + bytes.len()].copy_from_slice(bytes);
    put(0, &768i32.to_le_bytes());
    put(20, b"TITAN52336320");
    put(84, &300_000f64.to_le_bytes());
    put(92, &4e21f64.to_le_bytes());
    put(156, &0.82e-10f64.to_le_bytes());
    put(164, &0.83e-10f64.to_le_bytes());
    put(220, &(-1.5e-6f64).to_le_bytes());
    put(289, &96_000f64.to_le_bytes());
    put(419, &2.0f64.to_le_bytes());
    put(435, b"BM-Falcon");
    record
}

/// An array as NumPy writes it.
pub(crate) fn npy(descriptor: &str, fortran_order: bool, shape: &str, data: &[u8]) -> Vec<u8> {
    let order = if fortran_order { "True" } else { "False" };
    let text = format!("{{'descr': '{descriptor}', 'fortran_order': {order}, 'shape': {shape}, }}\n");
    let mut file = Bytes::default();
    file.raw(b"\x93NUMPY\x01\0").u16(Order::Little, text.len() as u16).raw(text.as_bytes()).raw(data);
    file.0
}

/// An archive of members, stored or deflated.
pub(crate) fn zip(members: &[(&str, &[u8])], deflated: bool) -> Vec<u8> {
    use Order::Little;
    let (mut file, mut directory) = (Bytes::default(), Bytes::default());
    for (name, content) in members {
        let mut crc = flate2::Crc::new();
        crc.update(content);
        let packed = if deflated {
            let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(content).unwrap();
            encoder.finish().unwrap()
        } else {
            content.to_vec()
        };
        let start = file.0.len() as u32;
        let method = if deflated { 8 } else { 0 };
        let mut common = Bytes::default();
        common.u16(Little, 20).u16(Little, 0).u16(Little, method).u32(Little, 0).u32(Little, crc.sum());
        common.u32(Little, packed.len() as u32).u32(Little, content.len() as u32);
        common.u16(Little, name.len() as u16).u16(Little, 0);
        file.raw(b"PK\x03\x04").raw(&common.0).raw(name.as_bytes()).raw(&packed);
        directory.raw(b"PK\x01\x02").u16(Little, 20).raw(&common.0);
        directory.u16(Little, 0).u16(Little, 0).u16(Little, 0).u32(Little, 0).u32(Little, start).raw(name.as_bytes());
    }
    let (start, count) = (file.0.len() as u32, members.len() as u16);
    file.raw(&directory.0).raw(b"PK\x05\x06").u32(Little, 0).u16(Little, count).u16(Little, count);
    file.u32(Little, directory.0.len() as u32).u32(Little, start).u16(Little, 0);
    file.0
}

pub(crate) fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// A good file of every kind, by the name that it would have.
pub(crate) fn corpus() -> Vec<(&'static str, Vec<u8>)> {
    let counting: Vec<u8> = (0..24u16).flat_map(u16::to_le_bytes).collect();
    let array = npy("<u2", false, "(2, 3, 4)", &counting);
    let packed = DmTag::Array(vec![6], 24, vec![0x3f; 96]);
    let in_place = DmTag::Array(vec![6], 16, vec![0x3f; 64]);
    let complex = DmTag::Array(vec![15, 0, 2, 0, 6, 0, 6], 4, vec![0x3f; 32]);
    let one = |code, sizes: &[u32], data| {
        dm(3, Order::Little, &[("ImageList", DmTag::Group(vec![("", dm_image(code, sizes, data))]))])
    };
    vec![
        ("a.dm3", dm_with_preview(3, Order::Little, &[3, 2])),
        ("b.dm3", dm_with_preview(3, Order::Big, &[3, 2, 2])),
        ("c.dm4", dm_with_preview(4, Order::Little, &[3, 2, 2, 2])),
        ("packed.dm3", one(27, &[4, 4], packed)),
        ("in_place.dm3", one(5, &[4, 4], in_place)),
        ("complex.dm3", one(3, &[2, 2], complex)),
        ("old_1.ser", ser(false, true, &[2])),
        ("new_1.ser", ser(true, false, &[2, 3])),
        ("a_000.tvips", tvips(2, 1, 3)),
        ("b_000.tvips", tvips(1, 1, 2)),
        ("a.mrc", mrc_counting(Order::Little, 2)),
        ("b.mrc", mrc_counting(Order::Big, 1)),
        ("c.mrc", mrc(Order::Little, 6, (b"FEI1", &fei1()), &[1; 24])),
        ("d.mrc", mrc(Order::Little, 101, (&[0; 4], &[]), &[0x21; 8])),
        ("e.mrc.gz", gzip(&mrc_counting(Order::Little, 6))),
        ("a.npy", array.clone()),
        ("b.npy", npy(">f4", true, "(2, 3)", &[0; 24])),
        ("a.npz", zip(&[("a.npy", &array), ("b.npy", &array)], false)),
        ("b.npz", zip(&[("a.npy", &array), ("settings.txt", b"none")], true)),
    ]
}
