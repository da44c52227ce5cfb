//! `atomlens info FILE`

use std::path::PathBuf;

use atomlens_workflow::WorkflowError;
use atomlens_workflow::info::{InfoSettings, run as info};
use clap::Args;

use super::raw::RawArguments;
use crate::terminal::Terminal;

/// Options of `atomlens info`.
#[derive(Debug, Args)]
pub(crate) struct InfoArguments {
    /// A file of a microscope: DM3, DM4, SER or EMI, EMD, HSPY, MRC, TIFF, TVIPS, PNG, JPEG, NPY or NPZ. With --json all of its
    /// original metadata are shown.
    file: PathBuf,
    #[command(flatten)]
    raw: RawArguments,
}

/// Runs `atomlens info`.
pub(crate) fn run(arguments: InfoArguments, terminal: &Terminal) -> Result<(), WorkflowError> {
    let raw = arguments.raw.description();
    let found = info(&InfoSettings { path: arguments.file, raw })?;
    terminal.answer(&found.to_string(), &found);
    Ok(())
}
