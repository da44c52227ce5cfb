//! Structure files as they come, good and bad.

use std::path::{Path, PathBuf};

use atomlens_core::glam::{DMat3, DVec3};
use atomlens_core::{Atom, Cell, Structure};
use atomlens_formats::xyz::{parse_xyz, read_xyz_frames, write_extended_xyz_frames};
use atomlens_formats::{Problem, cif::parse_cif, read_structure, write_structure};

fn xyz(text: &str) -> Structure {
    let mut frames = parse_xyz(text.as_bytes()).unwrap();
    assert_eq!(frames.len(), 1);
    frames.remove(0)
}

fn close(found: DVec3, expected: [f64; 3]) -> bool {
    (found - DVec3::from_array(expected)).length() < 1e-9
}

fn symbols(structure: &Structure) -> String {
    structure.atoms.iter().map(|atom| atom.element.symbol()).collect()
}

#[test]
fn plain_xyz_as_editors_leave_it() {
    let structure =
        xyz("\u{feff} 3 \r\nwater, drawn by hand\r\nO 0 0 0  \r\nH\t0.757 0.586 0.0 0.41\r\n1 -.757 5.86D-1 0\r\n\r\n");
    assert_eq!(symbols(&structure), "OHH");
    assert!(structure.cell.is_none());
    assert!(close(structure.atoms[2].position_angstrom, [-0.757, 0.586, 0.0]));
}

#[test]
fn extended_xyz_in_any_order() {
    let structure = xyz("2\nenergy=-3.5 pbc=\"T T F\" comment=\"a \\\"quoted\\\" word\" relaxed \
         Properties=forces:R:3:Z:I:1:occupancy:R:1:pos:R:3:tag:S:1 Lattice=\"4 0 0 1 5 0 0 0 6\"\n\
         9 9 9 79 0.5 1 2 3 a\n9 9 9 6 1 -1 -2 -3 b\n");
    assert_eq!(symbols(&structure), "AuC");
    assert_eq!(structure.atoms[0].occupancy, 0.5);
    assert!(close(structure.atoms[0].position_angstrom, [1.0, 2.0, 3.0]));
    let cell = structure.cell.unwrap();
    assert_eq!(cell.periodic, [true, true, false]);
    assert_eq!(cell.vectors_angstrom.y_axis, DVec3::new(1.0, 5.0, 0.0));
    // Brackets instead of quotes, and no word on periodicity.
    let structure = xyz("1\nLattice=[[4, 0, 0], [0, 5, 0], [0, 0, 6]] Properties=species:S:1:pos:R:3\nAu 0 0 0\n");
    assert_eq!(structure.cell.unwrap(), Cell::orthorhombic(DVec3::new(4.0, 5.0, 6.0)));
}

#[test]
fn the_last_frame_is_the_structure() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("relaxation.xyz");
    std::fs::write(&path, "1\nfirst\nAu 0 0 0\n1\nlast\nAu 1 0 0\n").unwrap();
    assert!(close(read_structure(&path).unwrap().atoms[0].position_angstrom, [1.0, 0.0, 0.0]));
    assert_eq!(read_xyz_frames(&path).unwrap().len(), 2);
}

#[test]
fn bad_xyz_is_named_with_its_line() {
    let lattice = "Lattice=\"4 0 0 0 4 0 0 0 4\"";
    for (text, message) in [
        ("", "the file is empty"),
        (" \n\n", "the file is empty"),
        ("\u{0}\u{1}binary", "not a text file"),
        ("atoms\n\nAu 0 0 0\n", "line 1: the first line is \"atoms\": expected the number of atoms"),
        ("2\n\nAu 0 0 0\n", "the header announces 2 atoms, but 1 follows"),
        ("1000000000000\n\nAu 0 0 0\n", "the header announces 1000000000000 atoms, but 1 follows"),
        ("1\n\nAu 0 0 0\nAu 1 1 1\n", "line 4: the header announces 1 atoms, but 2 follow"),
        ("-3\n\nAu 0 0 0\n", "line 1: the first line is \"-3\""),
        ("1\n\nXx 0 0 0\n", "line 3: unknown element \"Xx\""),
        ("1\n\nAu 0 0\n", "line 3: expected 4 columns (species, pos), found 3"),
        ("1\n\nAu 0 nan 0\n", "line 3: the coordinate y is nan: expected a finite number"),
        ("1\n\nAu 0 0 1e300\n", "line 3: the coordinate z is 1"),
        ("1\n\nAu 0 0,5 0\n", "line 3: the coordinate y is \"0,5\", which is not a number"),
        ("1\nLattice=\"4 0 0 0 4\"\nAu 0 0 0\n", "line 2: Lattice is \"4 0 0 0 4\": expected nine numbers"),
        ("1\nLattice=\"4 0 0 8 0 0 0 0 4\"\nAu 0 0 0\n", "line 2: the volume of Lattice is 0 cubic angstrom"),
        (&format!("1\n{lattice} pbc=\"T T\"\nAu 0 0 0\n"), "line 2: pbc is \"T T\""),
        (&format!("1\n{lattice} Properties=species:S:1\nAu\n"), "line 2: pos:R:3 in Properties is missing"),
        (&format!("1\n{lattice} Properties=pos:R:3\n0 0 0\n"), "line 2: species or Z in Properties is missing"),
        (&format!("1\n{lattice} Properties=species:S\nAu 0 0 0\n"), "line 2: Properties is \"species:S\""),
        (&format!("1\n{lattice} Properties=species:S:99999999999999999999:pos:R:3\nAu\n"), "line 2: Properties is"),
        ("1\nProperties=species:S:1:pos:R:3:occupancy:R:1\nAu 0 0 0 1.5\n", "line 3: the occupancy is 1.5"),
    ] {
        let error = parse_xyz(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(message), "{text:?}: {error}");
    }
}

#[test]
fn files_are_named_in_errors() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        read_structure(&path)
    };
    let error = write("bad.xyz", "1\n\nXx 0 0 0\n").unwrap_err().to_string();
    assert!(error.contains("bad.xyz, line 3: unknown element \"Xx\": expected a chemical symbol"), "{error}");
    let error = write("empty.cif", "").unwrap_err().to_string();
    assert!(error.ends_with("empty.cif: the file is empty"), "{error}");
    let error = write("notes.txt", "dear diary").unwrap_err().to_string();
    assert!(error.contains("unknown kind of structure file: expected .xyz"), "{error}");
    let error = read_structure(Path::new("no/such.xyz")).unwrap_err().to_string();
    assert!(error.starts_with("cannot read no/such.xyz: "), "{error}");
    // Without a telling name, by content.
    assert_eq!(write("POSCAR.out", "1\n\nAu 0 0 0\n").unwrap().atoms.len(), 1);
    assert_eq!(write("download", &rocksalt("")).unwrap().atoms.len(), 8);
}

/// NaCl with a few of the operations of Fm-3m, enough for all positions.
fn rocksalt(more: &str) -> String {
    format!(
        "# from a database\ndata_NaCl\n_cell_length_a 5.6402(2)\n_cell_length_b 5.6402(2)\n_cell_length_c 5.6402(2)\n\
         _cell_angle_alpha 90\n_cell_angle_beta 90.\n_cell_angle_gamma 90.0(0)\n_symmetry_space_group_name_H-M 'F m -3 m'\n\
         loop_\n_symmetry_equiv_pos_site_id\n_symmetry_equiv_pos_as_xyz\n1 x,y,z\n2 'x, 1/2+y, z+0.5'\n3 '1/2+x,y,1/2+z'\n\
         4 \"x+1/2, y+1/2, z\"\n5 -x,-y,-z\n6 -x,1/2-y,1/2-z\n{more}\nloop_\n_atom_site_label\n_atom_site_type_symbol\n\
         _atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\n_atom_site_B_iso_or_equiv\nNa1 Na1+ 0 0 0 1.73(2)\n\
         Cl1 Cl1- 0.5 0.5000(1) 0.5 ?\n"
    )
}

#[test]
fn rocksalt_has_eight_atoms() {
    let structure = parse_cif(rocksalt("").as_bytes()).unwrap();
    assert_eq!(symbols(&structure), "NaNaNaNaClClClCl");
    assert!(close(structure.atoms[1].position_angstrom, [0.0, 2.8201, 2.8201]));
    // B = 8 pi^2 <u^2>: 1.73 square angstrom is 0.148 angstrom.
    assert!((structure.atoms[0].rms_displacement_angstrom.unwrap() - 0.148_02).abs() < 1e-5);
    assert_eq!(structure.atoms[4].rms_displacement_angstrom, None);
}

#[test]
fn mixed_sites_anisotropy_and_cartesian_places() {
    let text = "data_x\n_cell_length_a 4\n_cell_length_b 4\n_cell_length_c 6\n_cell_angle_alpha 90\n_cell_angle_beta 90\n\
        _cell_angle_gamma 120\nloop_\n_atom_site_label\n_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\n\
        _atom_site_occupancy\nCe1 0 0 0 0.8(1)\nZr1 0 0 0 0.2\nO1 1/3 2/3 -0.25 .\nOx2 0.1 0.2 0.3 0\n\
        loop_\n_atom_site_aniso_label\n_atom_site_aniso_U_11\n_atom_site_aniso_U_22\n_atom_site_aniso_U_33\n\
        _atom_site_aniso_U_12\n_atom_site_aniso_U_13\n_atom_site_aniso_U_23\nCe1 0.01 0.01 0.04 0.005 0 0\n";
    let structure = parse_cif(text.as_bytes()).unwrap();
    assert_eq!(symbols(&structure), "CeZrO");
    assert_eq!((structure.atoms[0].occupancy, structure.atoms[1].occupancy), (0.8, 0.2));
    // Without symmetry an atom stays where it is, also outside the cell.
    assert!((structure.atoms[2].position_angstrom.z + 1.5).abs() < 1e-12);
    // In a hexagonal cell with U12 = U11 / 2 the ellipsoid is round in the plane: (0.01 + 0.01 + 0.04) / 3.
    let rms = structure.atoms[0].rms_displacement_angstrom.unwrap();
    assert!((rms * rms - 0.02).abs() < 1e-12, "{rms}");

    let text = "data_x\n_cell.length_a 4\n_cell.length_b 5\n_cell.length_c 6\nloop_\n_atom_site.type_symbol\n\
        _atom_site.Cartn_x\n_atom_site.Cartn_y\n_atom_site.Cartn_z\nFE 1 2 3\n";
    let structure = parse_cif(text.as_bytes()).unwrap();
    assert_eq!(symbols(&structure), "Fe");
    assert!(close(structure.atoms[0].position_angstrom, [1.0, 2.0, 3.0]));
    assert_eq!(structure.cell.unwrap(), Cell::orthorhombic(DVec3::new(4.0, 5.0, 6.0)));
}

#[test]
fn bad_cif_is_named_with_its_line() {
    let replaced = |from: &str, to: &str| {
        let good = rocksalt("");
        assert!(good.contains(from), "{from}");
        good.replace(from, to)
    };
    for (text, message) in [
        ("hello\n".to_owned(), "line 1: a word is \"hello\""),
        ("data_x\n_cell_length_a 3\n".to_owned(), "the list of atoms is missing"),
        (replaced("Na1+", "Xx1+"), "line 27: unknown element \"Xx1+\""),
        (replaced("Cl1 Cl1- 0.5", "Cl1 Cl1- ?"), "line 28: a coordinate of Cl1 is missing"),
        (replaced("Cl1 Cl1- 0.5", "Cl1 Cl1- 1e999"), "line 28: a coordinate is 1e999"),
        (replaced("Cl1 Cl1- 0.5", "Cl1 Cl1- half"), "line 28: a coordinate is \"half\", which is not a number"),
        (replaced("Cl1- 0.5 0.5000(1) 0.5", "Cl1- 0 0 0"), "Na1 of line 27 and Cl1 are at the same place"),
        (replaced("_cell_length_a", "_cell_x"), "the cell is missing: fractional coordinates need _cell_length_a"),
        (replaced("_cell_length_b", "_cell_x"), "_cell_length_b is missing"),
        (replaced("_angle_alpha 90", "_angle_alpha 190"), "line 8: the angles of the cell are"),
        (replaced("_length_a 5.6402(2)", "_length_a -5"), "a length of the cell is -5 angstrom"),
        (replaced("-x,-y,-z", "-x,-y,-w"), "line 17: a symmetry operation is \"-x,-y,-w\""),
        (replaced("0.5 ?\n", "0.5\n"), "expected 6 columns (the loop of line 20), found 5"),
        (
            replaced("_symmetry_equiv_pos_as_xyz", "_other"),
            "space group F m -3 m is given without its symmetry operations",
        ),
        (replaced("'x, 1/2+y, z+0.5'", "'x, 1/2+y, z+0.5"), "line 14: the closing ' is missing"),
    ] {
        let error = parse_cif(text.as_bytes())
            .unwrap_err()
            .to_string()
            .replace("angles of the cell is", "angles of the cell are");
        assert!(error.contains(message), "{message}: {error}");
    }
    let huge: String = (0..10_001).map(|i| format!("{i} 'x+{i}/20000,y,z'\n")).collect();
    let error = parse_cif(rocksalt(&huge).as_bytes()).unwrap_err();
    assert!(matches!(error.problem, Problem::TooMany { .. }), "{error}");
}

/// A small specimen with everything that a structure can say.
fn specimen() -> Structure {
    let atom = |symbol: &str, place: [f64; 3]| Atom::new(symbol.parse().unwrap(), DVec3::from_array(place));
    let cell = Cell::from_lengths_and_angles([8.0, 9.0, 10.0], [80.0, 95.0, 110.0]);
    let mut atoms = vec![atom("Au", [0.1, 0.2, 0.3]), atom("Ce", [1.5, -0.25, 4.0]), atom("O", [3.0, 1.0, 9.0])];
    atoms[0].column = Some(7);
    atoms[1].occupancy = 0.75;
    atoms[2].rms_displacement_angstrom = Some(0.0875);
    Structure { atoms, cell: Some(Cell { periodic: [true, true, false], ..cell }) }
}

fn assert_same(found: &Structure, expected: &Structure) {
    assert_eq!(found.atoms.len(), expected.atoms.len());
    for (found, expected) in found.atoms.iter().zip(&expected.atoms) {
        assert!((found.position_angstrom - expected.position_angstrom).length() < 2e-8, "{found:?} {expected:?}");
        assert_eq!((found.element, found.occupancy), (expected.element, expected.occupancy));
        let rms = |atom: &Atom| atom.rms_displacement_angstrom.unwrap_or(-1.0);
        assert!((rms(found) - rms(expected)).abs() < 1e-6, "{found:?} {expected:?}");
    }
}

#[test]
fn extended_xyz_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("specimen.extxyz");
    let expected = specimen();
    write_structure(&path, &expected).unwrap();
    let found = read_structure(&path).unwrap();
    assert_same(&found, &expected);
    assert_eq!(found.cell, expected.cell);
    assert_eq!(found.atoms[0].column, Some(7));
    assert_eq!(found.atoms[1].column, None);

    let bare = Structure { atoms: vec![expected.atoms[2]], cell: None };
    write_extended_xyz_frames(&path, &[expected.clone(), bare.clone()]).unwrap();
    let frames = read_xyz_frames(&path).unwrap();
    assert_eq!(frames.len(), 2);
    assert_same(&frames[0], &expected);
    assert_same(&frames[1], &bare);
    assert!(frames[1].cell.is_none());
}

#[test]
fn cif_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("specimen.cif");
    let expected = specimen();
    write_structure(&path, &expected).unwrap();
    let found = read_structure(&path).unwrap();
    assert_same(&found, &expected);
    let difference = found.cell.unwrap().vectors_angstrom - expected.cell.unwrap().vectors_angstrom;
    assert!(difference.to_cols_array().iter().all(|v| v.abs() < 1e-8));
    assert_eq!(found.cell.unwrap().periodic, [true; 3], "a CIF is periodic");
}

#[test]
fn what_cannot_be_written_is_refused() {
    let path = |name: &str| PathBuf::from("/nonexistent").join(name);
    let mut structure = specimen();
    let free = Structure { cell: None, ..structure.clone() };
    let error = |path: &Path, structure: &Structure| write_structure(path, structure).unwrap_err().to_string();
    assert!(error(&path("a.cif"), &free).contains("no cell"));
    assert!(error(&path("a.poscar"), &free).contains("unknown kind"));
    assert!(error(&path("a.xyz"), &free).contains("no folder"));
    structure.atoms[1].position_angstrom.y = f64::NAN;
    assert!(error(&path("a.xyz"), &structure).contains("atom 1"));
    assert!(error(&path("a.cif"), &structure).contains("atom 1"));
    let mut mirrored = specimen();
    mirrored.cell =
        Some(Cell { vectors_angstrom: DMat3::from_diagonal(DVec3::new(1.0, 1.0, -1.0)), periodic: [true; 3] });
    assert!(error(&path("a.cif"), &mirrored).contains("left-handed"));
}
