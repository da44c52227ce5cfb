//! Opening the files of focal series, and reading their images.

use std::path::{Path, PathBuf};

use atomlens_reconstruct::ReconstructError;
use ndarray::Array2;

use super::focus::{self, Focus, FocusFrom, Where};
use super::place::Needs;
use super::{SeriesError, SeriesSettings, health};
use crate::WorkflowError;
use crate::detect::source::{Source, is_of_a_frame};
use crate::provenance::Provenance;

/// Pixel sizes that differ by more are those of different magnifications.
const PIXEL_SIZES_DIFFER: f64 = 0.01;
/// Pixels whose edges differ by more are uneven.
pub(super) const UNEVEN: f64 = 1e-4;

/// The files of a focal series, opened and checked, before an image is read.
#[derive(Debug)]
pub(crate) struct SeriesFiles {
    /// What the series is called: the file's name, or the first one's and how many more there are.
    pub(crate) name: String,
    /// What its folder is called where there are several series.
    pub(crate) stem: String,
    /// What tables call it: the name of its first file.
    pub(crate) file: String,
    /// Number of the series in a file that holds several, from 0.
    pub(crate) frame: u64,
    parts: Vec<Part>,
    images: Vec<Place>,
    focus: Focus,
    warnings: Vec<String>,
}

/// A file of a series.
#[derive(Debug)]
struct Part {
    path: PathBuf,
    source: Result<Source, String>,
}

/// Where an image is.
#[derive(Debug, Clone, Copy)]
struct Place {
    part: usize,
    frame: u64,
}

/// An image of a series that can be used.
#[derive(Debug, Clone)]
pub(crate) struct FocalImage {
    /// Its number in the series, from 0.
    pub(crate) number: usize,
    /// Its place among all images of the series by increasing underfocus, those that cannot be used included.
    pub(crate) rank: usize,
    /// Its file, and its place there if the file holds several.
    pub(crate) label: String,
    /// Its defocus, underfocus positive; where only differences are known, from the series' first image on.
    pub(crate) defocus_angstrom: f64,
    /// The counts, shape `[y, x]`.
    pub(crate) counts: Array2<f32>,
}

/// An image that cannot be used.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct LeftOut {
    /// Its number in the series, from 0.
    pub image: usize,
    /// Why not.
    pub reason: String,
}

/// The images of a focal series.
#[derive(Debug, Clone)]
pub(crate) struct FocalImages {
    /// What the series is called.
    pub(crate) name: String,
    /// The first file that could be opened: what its header says holds for the series.
    pub(crate) source: Source,
    /// Number of images, those that cannot be used included.
    pub(crate) total: usize,
    /// Those that can be used, by increasing underfocus.
    pub(crate) images: Vec<FocalImage>,
    /// Those that cannot.
    pub(crate) left_out: Vec<LeftOut>,
    /// Who says what the focus is.
    pub(crate) focus_from: FocusFrom,
    /// What the user should know.
    pub(crate) warnings: Vec<String>,
}

impl SeriesFiles {
    /// Opens what the user named: one series, or several stacks.
    ///
    /// # Errors
    /// Files that cannot be read or make no series, a focus that nobody knows.
    pub(crate) fn open(settings: &SeriesSettings) -> Result<Vec<SeriesFiles>, WorkflowError> {
        let mut parts = Vec::new();
        let mut failure = None;
        for path in &settings.files {
            let source = match Source::open(path) {
                Ok(source) => Ok(source),
                // One image of a series may be damaged; a series that is one file may not.
                Err(error) if settings.files.len() > 1 && is_of_a_frame(&error) => {
                    let reason = error.to_string();
                    failure.get_or_insert(error);
                    Err(reason)
                }
                Err(error) => return Err(error),
            };
            parts.push(Part { path: path.clone(), source });
        }
        if parts.iter().all(|part| part.source.is_err()) {
            return Err(failure.unwrap_or_else(|| WorkflowError::NothingDetected { files: 0 }));
        }
        let frames = |part: &Part| part.source.as_ref().map_or(1, Source::frames);
        let single = parts.iter().find(|part| part.source.is_ok() && frames(part) == 1);
        let stack = parts.iter().find(|part| frames(part) > 1);
        match (single, stack) {
            (Some(single), Some(stack)) => Err(SeriesError::ImagesAndStacks {
                single: single.path.clone(),
                stack: stack.path.clone(),
                images: frames(stack),
            }
            .into()),
            (Some(single), None) if parts.len() == 1 => Err(SeriesError::OneImage { path: single.path.clone() }.into()),
            (_, None) => Ok(vec![SeriesFiles::of_single_images(parts, settings)?]),
            (None, Some(_)) => {
                let mut series = Vec::new();
                for part in parts {
                    match part.source {
                        Ok(source) => series.extend(SeriesFiles::of_stack(part.path, source, settings)?),
                        // Every stack is a series; what cannot be opened is for the user to take away.
                        Err(_) => {
                            return Err(Source::open(&part.path).err().unwrap_or(WorkflowError::Read {
                                path: part.path,
                                reason: "it changed while it was read".to_owned(),
                            }));
                        }
                    }
                }
                Ok(series)
            }
        }
    }

    fn of_single_images(parts: Vec<Part>, settings: &SeriesSettings) -> Result<SeriesFiles, WorkflowError> {
        let first = parts.iter().find_map(|part| part.source.as_ref().ok().map(|source| (&part.path, source)));
        let mut warnings = Vec::new();
        if let Some((path, source)) = first {
            for other in &parts {
                let Ok(found) = &other.source else { continue };
                alike(path, source, &other.path, found, settings.pixel_size_nm.is_some(), &mut warnings)?;
            }
        }
        let name = match parts.as_slice() {
            [part] => file_name(&part.path),
            [part, ..] => format!("{} and {} more", file_name(&part.path), parts.len() - 1),
            [] => String::new(),
        };
        let stem = parts.first().map_or_else(String::new, |part| file_stem(&part.path));
        let images: Vec<Place> = (0..parts.len()).map(|part| Place { part, frame: 0 }).collect();
        SeriesFiles::new(name, stem, parts, images, warnings, settings)
    }

    /// The series of a stack: one, or one for each frame of a movie.
    fn of_stack(path: PathBuf, source: Source, settings: &SeriesSettings) -> Result<Vec<SeriesFiles>, WorkflowError> {
        let along_focus = source.axis_before_image().map_or(1, |axis| axis.size as u64).max(1);
        let series = source.frames() / along_focus;
        if along_focus == 1 {
            return Err(SeriesError::OneImage { path }.into());
        }
        (0..series)
            .map(|number| {
                let (mut name, mut stem) = (file_name(&path), file_stem(&path));
                if series > 1 {
                    name += &format!(", frame {number}");
                    stem += &format!("_{number:04}");
                }
                let images = (0..along_focus).map(|image| Place { part: 0, frame: number * along_focus + image });
                let part = Part { path: path.clone(), source: Ok(source.clone()) };
                let series = SeriesFiles::new(name, stem, vec![part], images.collect(), Vec::new(), settings)?;
                Ok(SeriesFiles { frame: number, ..series })
            })
            .collect()
    }

    fn new(
        name: String,
        stem: String,
        parts: Vec<Part>,
        images: Vec<Place>,
        mut warnings: Vec<String>,
        settings: &SeriesSettings,
    ) -> Result<SeriesFiles, WorkflowError> {
        let first_frame = images.first().map_or(0, |place| place.frame);
        let places: Vec<Where<'_>> = images
            .iter()
            .map(|place| Where {
                source: parts[place.part].source.as_ref().ok(),
                along: (place.frame - first_frame) as usize,
            })
            .collect();
        let focus =
            focus::of_images(&name, &places, settings.defocus_angstrom.as_deref(), settings.defocus_step_angstrom)?;
        for note in parts.iter().filter_map(|part| part.source.as_ref().ok()).flat_map(|source| &source.notes) {
            if !warnings.contains(note) {
                warnings.push(note.clone());
            }
        }
        warnings.extend(focus.notes.iter().cloned());
        let file = parts.first().map_or_else(String::new, |part| file_name(&part.path));
        Ok(SeriesFiles { name, stem, file, frame: 0, parts, images, focus, warnings })
    }

    /// The folder of its results: one of its own below `out` where there are several series.
    pub(crate) fn folder(&self, out: &Path, several: bool) -> Result<PathBuf, WorkflowError> {
        if !several {
            return Ok(out.to_owned());
        }
        let free = (2..).map(|number| format!("{} ({number})", self.stem));
        let names = std::iter::once(self.stem.clone()).chain(free);
        let folder = names.map(|name| out.join(name)).find(|folder| !folder.exists());
        let folder = folder.unwrap_or_else(|| out.join(&self.stem));
        std::fs::create_dir_all(&folder).map_err(|error| WorkflowError::write(&folder, &error))?;
        Ok(folder)
    }

    /// Notes the hashes of the files.
    pub(crate) fn inputs<S: serde::Serialize>(
        &self,
        mut provenance: Provenance<S>,
    ) -> Result<Provenance<S>, WorkflowError> {
        for part in self.parts.iter().filter(|part| part.source.is_ok()) {
            provenance = provenance.input(&part.path)?;
        }
        Ok(provenance)
    }

    /// Reads the images; those that cannot be used are left out.
    ///
    /// # Errors
    /// Two images that are used have the same focus; as they come from the disk.
    pub(crate) fn read(&self) -> Result<FocalImages, WorkflowError> {
        let mut warnings = self.warnings.clone();
        let mut images = Vec::new();
        let mut left_out = Vec::new();
        for (number, place) in self.images.iter().enumerate() {
            match self.image(place)? {
                Ok((counts, not_finite)) => {
                    if not_finite > 0 {
                        warnings.push(format!(
                            "image {number}: {not_finite} pixels are not finite numbers; their mean stands for them"
                        ));
                    }
                    let defocus = &self.focus.defocus_angstrom;
                    images.push(FocalImage {
                        number,
                        rank: defocus.iter().filter(|other| **other < defocus[number]).count(),
                        label: self.label(place),
                        defocus_angstrom: self.focus.defocus_angstrom[number],
                        counts,
                    });
                }
                Err(reason) => left_out.push(LeftOut { image: number, reason }),
            }
        }
        if let Some([one, other]) = focus::equal_pair(images.iter().map(|image| (image.number, image.defocus_angstrom)))
        {
            return Err(SeriesError::EqualFocus {
                name: self.name.clone(),
                images: [one, other],
                defocus_angstrom: self.focus.defocus_angstrom[one],
                from: self.focus.from.words(),
            }
            .into());
        }
        images.sort_by(|one, other| one.defocus_angstrom.total_cmp(&other.defocus_angstrom));
        let source = self.parts.iter().find_map(|part| part.source.as_ref().ok());
        let source = source.cloned().ok_or_else(|| WorkflowError::NothingDetected { files: self.parts.len() })?;
        Ok(FocalImages {
            name: self.name.clone(),
            source,
            total: self.images.len(),
            images,
            left_out,
            focus_from: self.focus.from,
            warnings,
        })
    }

    /// An image and how many of its pixels were no numbers, or why it cannot be used.
    fn image(&self, place: &Place) -> Result<Result<(Array2<f32>, usize), String>, WorkflowError> {
        let source = match &self.parts[place.part].source {
            Ok(source) => source,
            Err(reason) => return Ok(Err(reason.clone())),
        };
        match source.frame(place.frame) {
            Ok((counts, not_finite)) => Ok(match health::fault(&counts, not_finite) {
                None => Ok((counts, not_finite)),
                Some(fault) => Err(fault),
            }),
            Err(WorkflowError::BadFrame { reason, .. }) => Ok(Err(reason)),
            Err(error) if is_of_a_frame(&error) => Ok(Err(error.to_string())),
            Err(error) => Err(error),
        }
    }

    fn label(&self, place: &Place) -> String {
        let part = &self.parts[place.part];
        let name = file_name(&part.path);
        match &part.source {
            Ok(source) if source.frames() > 1 => format!("{name}, image {}", place.frame),
            _ => name,
        }
    }
}

impl FocalImages {
    /// What was left out and why, in brackets for a message; empty if nothing was.
    pub(crate) fn reasons(&self) -> String {
        if self.left_out.is_empty() {
            return String::new();
        }
        let reasons: Vec<String> =
            self.left_out.iter().map(|left| format!("image {}: {}", left.image, left.reason)).collect();
        format!(" ({})", reasons.join("; "))
    }

    /// Leaves out an image by its place among those that can be used.
    pub(crate) fn leave_out(&mut self, place: usize, reason: String) {
        let image = self.images.remove(place);
        self.left_out.push(LeftOut { image: image.number, reason });
        self.left_out.sort_by_key(|left| left.image);
    }

    /// Refuses to go on with fewer images than a job needs.
    pub(crate) fn needs(&self, needs: &Needs<'_>) -> Result<(), WorkflowError> {
        if self.total >= needs.given && self.images.len() >= needs.good {
            return Ok(());
        }
        let fewest = if self.total < needs.given { needs.given } else { needs.good };
        Err(SeriesError::TooFew {
            name: self.name.clone(),
            usable: self.images.len(),
            total: self.total,
            reasons: self.reasons(),
            needed: fewest.to_string(),
            who: needs.who.to_owned(),
            advice: needs.advice.to_owned(),
        }
        .into())
    }

    /// What a step of the analysis has against the images.
    pub(crate) fn reconstruct(&self, error: ReconstructError) -> WorkflowError {
        SeriesError::Unusable { name: self.name.clone(), reason: error.to_string() }.into()
    }

    /// Warnings about the images that are left out.
    pub(crate) fn left_out_warnings(&self) -> impl Iterator<Item = String> {
        self.left_out.iter().map(|left| format!("image {} is left out: {}", left.image, left.reason))
    }
}

/// Refuses images that one camera at one magnification did not record.
fn alike(
    first: &Path,
    of_first: &Source,
    path: &Path,
    source: &Source,
    pixel_size_given: bool,
    warnings: &mut Vec<String>,
) -> Result<(), WorkflowError> {
    if source.size_px() != of_first.size_px() {
        return Err(SeriesError::Sizes {
            path: path.to_owned(),
            found_px: source.size_px(),
            first: first.to_owned(),
            first_px: of_first.size_px(),
        }
        .into());
    }
    if let (Some(found), Some(known)) = (source.pixel_angstrom(), of_first.pixel_angstrom())
        && (found.0 / known.0 - 1.0).abs() > PIXEL_SIZES_DIFFER
    {
        let error = SeriesError::PixelSizes {
            path: path.to_owned(),
            found_nm: 0.1 * found.0,
            first: first.to_owned(),
            first_nm: 0.1 * known.0,
        };
        if !pixel_size_given {
            return Err(error.into());
        }
        warnings.push(format!(
            "the files state different pixel sizes, {:.5} nm ({}) and {:.5} nm ({}); the one that was given is used",
            0.1 * known.0,
            file_name(first),
            0.1 * found.0,
            file_name(path)
        ));
    }
    Ok(())
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

fn file_stem(path: &Path) -> String {
    path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}
