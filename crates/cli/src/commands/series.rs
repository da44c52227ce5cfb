//! Options that say what a focal series is, shared by the subcommands that take one.

use std::path::{Path, PathBuf};

use atomlens_workflow::series::SeriesSettings;
use clap::Args;

use super::{finite, positive};

/// What the user says of the focus.
#[derive(Debug, Clone, Args)]
pub(crate) struct FocusArguments {
    /// Change of defocus from image to image, where the defocus itself is not known; negative if the series runs towards
    /// overfocus. From the files if left out.
    #[arg(
        long,
        value_name = "D",
        value_parser = finite,
        allow_negative_numbers = true,
        conflicts_with = "defocus_angstrom"
    )]
    pub(crate) defocus_step_angstrom: Option<f64>,
    /// Defocus of each image in their order, underfocus positive, such as 50,100,150.
    #[arg(
        long,
        value_name = "A,B,C",
        value_parser = finite,
        allow_hyphen_values = true,
        value_delimiter = ','
    )]
    pub(crate) defocus_angstrom: Option<Vec<f64>>,
}

/// Files of a series and their focus.
#[derive(Debug, Clone, Args)]
pub(crate) struct SeriesArguments {
    /// One stack, or several files of one image each in the order of their focus; several stacks are a series each.
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) focus: FocusArguments,
    /// Distance between pixels in nm; from the file, or else from the lattice in the images, if left out.
    #[arg(long, value_parser = positive, allow_negative_numbers = true)]
    pub(crate) pixel_size_nm: Option<f64>,
    /// What the images show, such as MoS2 or graphene: where the file states no pixel size, this lattice tells it.
    #[arg(long)]
    pub(crate) lattice: Option<String>,
}

impl SeriesArguments {
    pub(crate) fn settings(self) -> SeriesSettings {
        SeriesSettings {
            files: self.files,
            pixel_size_nm: self.pixel_size_nm,
            lattice: self.lattice,
            defocus_angstrom: self.focus.defocus_angstrom,
            defocus_step_angstrom: self.focus.defocus_step_angstrom,
        }
    }
}

/// The folder beside the first file that results go into if the user names none.
pub(crate) fn folder_beside(first: &Path, ending: &str) -> PathBuf {
    let stem = first.file_stem().unwrap_or_default().to_string_lossy();
    first.with_file_name(format!("{stem}_{ending}"))
}
