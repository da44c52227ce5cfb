//! PNG with a palette: pictures of micrographs are mostly grey noise, which takes a third of the room that way.
//!
//! Greys keep 48 levels. Colours have 32 levels a channel, and of these the palette takes a set that lies everywhere near, and then
//! the most frequent; what has no place takes the nearest that has. A micrograph's own noise is far above the steps.

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
    let kept = palette(&colours);
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

/// The colours to keep, of those ordered by importance.
fn palette(colours: &[([u8; 3], u32)]) -> Vec<[u8; 3]> {
    const APART: i32 = 36;
    let mut kept: Vec<[u8; 3]> = Vec::new();
    for (colour, _) in colours {
        let far = kept.iter().all(|other| distance(other, colour) > APART * APART);
        if kept.len() < LARGEST_PALETTE && (is_grey(*colour) || far) {
            kept.push(*colour);
        }
    }
    for (colour, _) in colours {
        if kept.len() < LARGEST_PALETTE && !kept.contains(colour) {
            kept.push(*colour);
        }
    }
    kept
}

fn distance(one: &[u8; 3], other: &[u8; 3]) -> i32 {
    (0..3).map(|i| (i32::from(one[i]) - i32::from(other[i])).pow(2)).sum()
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
    palette.iter().enumerate().min_by_key(|(_, other)| distance(other, &colour)).map_or(0, |(place, _)| place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_comes_back_nearly_as_it_was() {
        let picture = RgbImage::from_fn(90, 70, |x, y| match (x / 10) % 3 {
            0 => [(x * 2) as u8; 3].into(),
            1 => [(y / 10 * 35) as u8, 40, 160].into(),
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

    #[test]
    fn rare_colours_are_not_lost_among_frequent_ones() {
        // Thousands of greens and a few pixels of red: the red must stay red.
        let picture = RgbImage::from_fn(200, 200, |x, y| match (x, y) {
            (0..3, 0..3) => [230, 20, 20].into(),
            _ => [(x / 2) as u8, 255 - (y / 2) as u8, ((x * y) % 90) as u8].into(),
        });
        let mut decoder = png::Decoder::new(std::io::Cursor::new(encode(&picture).unwrap()));
        decoder.set_transformations(png::Transformations::EXPAND);
        let mut reader = decoder.read_info().unwrap();
        let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut bytes).unwrap();
        assert!(distance(&[bytes[0], bytes[1], bytes[2]], &[230, 20, 20]) <= 36 * 36, "{:?}", &bytes[..3]);
        let worst =
            picture.pixels().zip(bytes.chunks(3)).map(|(pixel, back)| distance(&pixel.0, &[back[0], back[1], back[2]]));
        // A colour is at most the least distance and a rounding away.
        assert!(worst.max().unwrap() <= 42 * 42);
    }
}
