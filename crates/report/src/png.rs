//! Writing pictures.

use std::path::Path;

use image::{EncodableLayout, GrayImage, ImageBuffer, ImageFormat, PixelWithColorType, RgbImage};

use crate::colour::Colour;
use crate::{ReportError, file};

/// Writes a picture as PNG. It is written under a temporary name beside its place and then renamed, so that an
/// interrupted program leaves either the whole picture or none.
pub fn write(picture: &RgbImage, path: &Path) -> Result<(), ReportError> {
    file::replace(path, |partial| picture.save_with_format(partial, ImageFormat::Png)).map_err(|error| match error {
        image::ImageError::IoError(source) => ReportError::Write { path: path.to_owned(), source },
        source => ReportError::Encode { path: path.to_owned(), source },
    })
}

/// A picture as the bytes of a PNG file.
pub fn encode<P>(picture: &ImageBuffer<P, Vec<u8>>) -> Vec<u8>
where
    P: PixelWithColorType<Subpixel = u8>,
    [u8]: EncodableLayout,
{
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture
        .write_to(&mut bytes, ImageFormat::Png)
        .expect("PNG holds any picture of 8 bits, and memory takes any write");
    bytes.into_inner()
}

/// A picture of numbers of a palette as the bytes of a PNG file, which takes a third of the room of its colours.
pub(crate) fn encode_with_palette(picture: &GrayImage, palette: &[Colour; 256]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, picture.width(), picture.height());
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_palette(palette.iter().flat_map(|colour| colour.0).collect::<Vec<u8>>());
    encoder
        .write_header()
        .and_then(|mut writer| writer.write_image_data(picture.as_raw()))
        .expect("PNG holds any picture of 8 bits, and memory takes any write");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::colour::from_hex;

    #[test]
    fn a_picture_is_written_whole_under_its_name_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("picture.png");
        let picture = RgbImage::from_fn(7, 5, |x, y| from_hex(x * 0x102030 + y));
        for _ in 0..2 {
            write(&picture, &path).unwrap();
            assert_eq!(image::open(&path).unwrap().into_rgb8(), picture);
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        }
    }

    #[test]
    fn a_palette_gives_every_pixel_its_colour() {
        let palette = std::array::from_fn(|level| from_hex(level as u32 * 0x010307));
        let picture = GrayImage::from_fn(9, 5, |x, y| image::Luma([(x * 28 + y) as u8]));
        let read = image::load_from_memory(&encode_with_palette(&picture, &palette)).unwrap().into_rgb8();
        for (x, y, pixel) in picture.enumerate_pixels() {
            assert_eq!(*read.get_pixel(x, y), palette[usize::from(pixel.0[0])]);
        }
    }

    #[test]
    fn a_place_that_does_not_exist_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("missing").join("picture.png");
        let error = write(&RgbImage::new(2, 2), &path).unwrap_err();
        assert!(matches!(error, ReportError::Write { .. }));
        assert!(error.to_string().contains("picture.png"), "{error}");
        // A folder in the picture's place cannot be replaced, and nothing is left behind.
        let error = write(&RgbImage::new(2, 2), folder.path()).unwrap_err();
        assert!(matches!(error, ReportError::Write { .. }), "{error}");
        assert!(!folder.path().with_extension("partial").exists());
    }
}
