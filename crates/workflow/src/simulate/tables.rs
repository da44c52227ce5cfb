//! The tables of truth beyond the columns' places.

use std::io::Write;
use std::path::{Path, PathBuf};

use atomlens_core::{Column, ColumnRole, Grid};
use atomlens_dataset::MovieTruth;
use atomlens_formats::whole_file::write_whole_file;

use crate::WorkflowError;

/// Writes what is known of every column: place, height range, atoms by element, what it is part of.
pub(super) fn write_columns(path: &Path, columns: &[Column], sheet: bool) -> Result<(), WorkflowError> {
    let rows = columns.iter().enumerate().map(|(index, column)| {
        let elements: Vec<String> = column.atoms.iter().map(|(element, count)| format!("{element}{count}")).collect();
        vec![
            index.to_string(),
            format!("{:.6}", 0.1 * column.x_angstrom),
            format!("{:.6}", 0.1 * column.y_angstrom),
            format!("{:.6}", 0.1 * column.z_low_angstrom),
            format!("{:.6}", 0.1 * column.z_high_angstrom),
            column.species(sheet),
            column.atom_count().to_string(),
            elements.join(" "),
            match column.role {
                ColumnRole::Specimen => "specimen".to_owned(),
                ColumnRole::Support => "support".to_owned(),
            },
        ]
    });
    let header = ["column", "x_nm", "y_nm", "z_low_nm", "z_high_nm", "species", "atoms", "elements", "role"];
    write_table(path, &header, rows)
}

/// Writes a movie's sites, occupancies, drift and hops.
pub(super) fn write_movie(
    movie: &MovieTruth,
    grid: &Grid,
    path: impl Fn(&str) -> PathBuf,
) -> Result<(), WorkflowError> {
    let sites = movie.sites.iter().enumerate().map(|(index, site)| {
        let kind = serde_json::to_value(site.kind).ok().and_then(|kind| kind.as_str().map(str::to_owned));
        vec![
            index.to_string(),
            format!("{:.4}", site.x_angstrom / grid.pixel_x_angstrom),
            format!("{:.4}", site.y_angstrom / grid.pixel_y_angstrom),
            format!("{:.6}", 0.1 * site.x_angstrom),
            format!("{:.6}", 0.1 * site.y_angstrom),
            kind.unwrap_or_default(),
            site.atom_count().to_string(),
            format!("{:.6e}", site.emptying_per_s),
            format!("{:.6e}", site.filling_per_s),
        ]
    });
    let header = ["site", "x_px", "y_px", "x_nm", "y_nm", "kind", "atoms", "emptying_per_s", "filling_per_s"];
    write_table(&path("sites"), &header, sites)?;

    let occupancy = movie.occupancy.iter().enumerate().flat_map(|(frame, filled)| {
        filled
            .iter()
            .enumerate()
            .map(move |(site, filled)| vec![frame.to_string(), site.to_string(), u8::from(*filled).to_string()])
    });
    write_table(&path("occupancy"), &["frame", "site", "filled"], occupancy)?;

    // A site at p in the first frame is at R (p - centre) + centre + (x, y).
    let [centre_x, centre_y] = movie.rotation_centre_angstrom;
    let drift = movie.drift.iter().enumerate().map(|(frame, drift)| {
        vec![
            frame.to_string(),
            format!("{:.6}", frame as f64 * movie.frame_time_s),
            format!("{:.6}", 0.1 * drift.x_angstrom),
            format!("{:.6}", 0.1 * drift.y_angstrom),
            format!("{:.6}", drift.rotation_rad),
            format!("{:.6}", 0.1 * centre_x),
            format!("{:.6}", 0.1 * centre_y),
        ]
    });
    write_table(
        &path("drift"),
        &["frame", "time_s", "x_nm", "y_nm", "rotation_rad", "centre_x_nm", "centre_y_nm"],
        drift,
    )?;

    let hops = movie.hops.iter().map(|hop| vec![hop.frame.to_string(), hop.from.to_string(), hop.to.to_string()]);
    write_table(&path("hops"), &["frame", "from_site", "to_site"], hops)
}

/// Writes any table, whole or not at all.
fn write_table(path: &Path, header: &[&str], rows: impl Iterator<Item = Vec<String>>) -> Result<(), WorkflowError> {
    Ok(write_whole_file(path, |file| {
        let mut writer = csv::Writer::from_writer(&mut *file);
        writer.write_record(header)?;
        for row in rows {
            writer.write_record(row)?;
        }
        writer.flush()?;
        drop(writer);
        file.flush()
    })?)
}
