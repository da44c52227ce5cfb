//! PNG with a palette: pictures of micrographs are mostly grey noise, which takes a third of the room that way.
//!
//! Greys keep 48 levels, colours the most frequent of 32 levels a channel; what has no place in the palette takes
//! the nearest that has. A micrograph's own noise is far above the steps.

use std::collections::BTreeMap;

use atomlens_report::RgbImage;

const GREYS: u32 = 48;
const LARGEST_PALETTE: usize = 256;

/// The picture as the bytes of a PNG file.
pub(crate) fn encode(picture: &RgbImage) -> Result<Vec<u8>, String> {
    let mut counts: BTreeMap<[u8; 3], u32> = BTreeMap::new();
    for pixel in picture.pixels() {
        *counts.entry(rounded(pixel.0)).or_default() += 1;
    }
    let mut colours: Vec<([u8; 3], u32)> = counts.into_iter().collect();
    // Greys first, then by how often; the order of equals is that of their values, so that the file is always the same.
    colours.sort_by_key(|(colour, count)| (!is_grey(*colour), std::cmp::Reverse(*count)));
    let kept: Vec<[u8; 3]> = colours.iter().take(LARGEST_PALETTE).map(|(colour, _)| *colour).collect();
    let index: BTreeMap<[u8; 3], u8> =
        colours.iter().map(|(colour, _)| (*colour, nearest(&kept, *colour) as u8)).collect();
    let pixels: Vec<u8> = picture.pixels().map(|pixel| index[&rounded(pixel.0)]).collect();

    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, picture.width(), picture.height());
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_palette(kept.concat());
    encoder.set_compression(png::Compression::High);
    encoder.set_filter(png::Filter::NoFilter);
    let mut writer = encoder.write_header().map_err(|error| error.to_string())?;
    writer.write_image_data(&pixels).map_err(|error| error.to_string())?;
    writer.finish().map_err(|error| error.to_string())?;
    Ok(file)
}

fn is_grey(colour: [u8; 3]) -> bool {
    colour[0] == colour[1] && colour[1] == colour[2]
}

fn rounded(colour: [u8; 3]) -> [u8; 3] {
    let levels = if is_grey(colour) { GREYS } else { 32 } - 1;
    colour.map(|value| {
        let level = (u32::from(value) * levels + 127) / 255;
        ((level * 255 + levels / 2) / levels) as u8
    })
}

fn nearest(palette: &[[u8; 3]], colour: [u8; 3]) -> usize {
    let distance = |other: &[u8; 3]| (0..3).map(|i| (i32::from(colour[i]) - i32::from(other[i])).pow(2)).sum::<i32>();
    palette.iter().enumerate().min_by_key(|(_, other)| distance(other)).map_or(0, |(place, _)| place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_comes_back_nearly_as_it_was() {
        let picture = RgbImage::from_fn(90, 70, |x, y| match (x / 10) % 3 {
            0 => [(x * 2) as u8; 3].into(),
            1 => [(y * 3) as u8, 40, (x * 2) as u8].into(),
            _ => [255; 3].into(),
        });
        let file = encode(&picture).unwrap();
        assert_eq!(file, encode(&picture).unwrap());
        let mut decoder = png::Decoder::new(std::io::Cursor::new(&file));
        decoder.set_transformations(png::Transformations::EXPAND);
        let mut reader = decoder.read_info().unwrap();
        let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut bytes).unwrap();
        assert_eq!(bytes.len(), 3 * 90 * 70);
        for (pixel, back) in picture.pixels().zip(bytes.chunks(3)) {
            let furthest = (0..3).map(|i| pixel.0[i].abs_diff(back[i])).max().unwrap();
            assert!(furthest <= 5, "{pixel:?} came back as {back:?}");
        }
    }
}
