//! Damaged and malicious files: every reader answers with a structure, an array, or one line that says
//! what is wrong. A panic fails these tests; so does an allocation that a header merely announces, since
//! those here announce more than any machine has.

use atomlens_core::SeedPath;
use atomlens_formats::ParseError;
use atomlens_formats::cel::parse_cel;
use atomlens_formats::cif::parse_cif;
use atomlens_formats::npy::parse_npy_bytes;
use atomlens_formats::truth::parse_truth;
use atomlens_formats::xyz::parse_xyz;
use rand::RngExt;

type Reader = fn(&[u8]) -> Result<(), ParseError>;

/// A good file of every kind, and its reader, which also looks at what a caller would use.
fn corpus() -> Vec<(&'static str, Vec<u8>, Reader)> {
    let structures: Reader = |bytes| {
        for structure in parse_xyz(bytes)? {
            sane(&structure);
        }
        Ok(())
    };
    let cif: Reader = |bytes| parse_cif(bytes).map(|structure| sane(&structure));
    let cel: Reader = |bytes| parse_cel(bytes).map(|structure| sane(&structure));
    let npy: Reader = |bytes| parse_npy_bytes(bytes).map(|array| assert!(array.shape().len() < 100));
    let truth: Reader = |bytes| parse_truth(bytes).map(|rows| assert!(rows.iter().all(|row| row.x_px.is_finite())));

    let extended = "3\nLattice=\"4 0 0 1 5 0 0 0 6\" Properties=species:S:1:pos:R:3:occupancy:R:1:column:I:1 pbc=\"T T F\" \
        note=\"a {b} [c]\"\nAu 0 0.5 1e-1 1 0\nCe 1 2 3 0.5 -1\n8 -1 -2 -3 1 2\n";
    let plain = "2\n\nAu 0 0 0\nC 1 1 1\n1\nsecond\nH 0 0 0\n";
    let crystal = "data_a\n_cell_length_a 4.0(2)\n_cell_length_b 4\n_cell_length_c 6\n_cell_angle_alpha 90\n\
        _cell_angle_beta 90\n_cell_angle_gamma 120\n_chemical_formula_sum 'Ce O2'\n_publ\n;\n text\n;\n\
        loop_\n_symmetry_equiv_pos_as_xyz\nx,y,z\n'-x+1/2,y,-z'\nx-y,x,z+1/6\n\
        loop_\n_atom_site_label\n_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\n_atom_site_occupancy\n\
        _atom_site_U_iso_or_equiv\nCe1 0 0 0 0.5 0.01\nZr1 0 0 0 0.5 ?\nO1 0.3333 0.6667 1/4 1 .\n\
        loop_\n_atom_site_aniso_label\n_atom_site_aniso_U_11\n_atom_site_aniso_U_22\n_atom_site_aniso_U_33\n\
        _atom_site_aniso_U_12\n_atom_site_aniso_U_13\n_atom_site_aniso_U_23\nO1 0.01 0.01 0.04 0.005 0 0\n";
    let hall = "data_a\n_cell_length_a 4\n_cell_length_b 4\n_cell_length_c 6\n_space_group_name_Hall '-P 4ac 2\" -3 (0 0 3)'\n\
        _symmetry_space_group_name_Hall '-I 4bd 2c 3'\nloop_\n_atom_site_type_symbol\n_atom_site_fract_x\n\
        _atom_site_fract_y\n_atom_site_fract_z\n_atom_site_B_iso_or_equiv\nFe3+ 0.125 0.2 0.3 0.5\nO2- 0.01 0.4 0.9 .\n";
    let cell = "# cell\n 0 0.39 0.39 0.39 90 90 90\nSr2+ 0 0 0 1 0.0062 0 0 0\nO2- 0.5 0.5 0 0.9 0.0073 0 0 0\n*\n";
    let table = "x_px,y_px,x_nm,y_nm,species,atoms\n1.5,2,0.1,0.2,Au,3\n3,4,0.3,0.4,\"S,2\",2\n";
    let array = |descriptor: &str, data: usize| {
        let text = format!("{{'descr': '{descriptor}', 'fortran_order': True, 'shape': (2, 3), }}     \n");
        let mut bytes = b"\x93NUMPY\x01\0".to_vec();
        bytes.extend((text.len() as u16).to_le_bytes());
        bytes.extend(text.as_bytes());
        bytes.extend((0..data).map(|byte| (byte % 2) as u8));
        bytes
    };
    vec![
        ("extended xyz", extended.into(), structures),
        ("xyz", plain.into(), structures),
        ("cif", crystal.into(), cif),
        ("cif with a Hall symbol", hall.into(), cif),
        ("cel", cell.into(), cel),
        ("truth", table.into(), truth),
        ("npy complex64", array("<c8", 48), npy),
        ("npy bool", array("|b1", 6), npy),
    ]
}

fn sane(structure: &atomlens_core::Structure) {
    for atom in &structure.atoms {
        assert!(atom.position_angstrom.is_finite(), "{atom:?}");
        assert!(atom.occupancy > 0.0 && atom.occupancy <= 1.0, "{atom:?}");
        assert!(atom.rms_displacement_angstrom.is_none_or(|rms| rms.is_finite() && rms >= 0.0), "{atom:?}");
    }
    if let Some(cell) = &structure.cell {
        assert!(cell.volume_cubic_angstrom().abs() > 0.0, "{cell:?}");
    }
}

/// One line, not a page.
fn clear(name: &str, result: Result<(), ParseError>) -> bool {
    match result {
        Ok(()) => true,
        Err(error) => {
            let message = error.to_string();
            assert!(!message.is_empty() && message.len() < 400 && !message.contains('\n'), "{name}: {message}");
            false
        }
    }
}

#[test]
fn the_corpus_is_good() {
    for (name, bytes, read) in corpus() {
        read(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[test]
fn every_truncation() {
    for (name, bytes, read) in corpus() {
        let refused = (0..bytes.len()).filter(|length| !clear(name, read(&bytes[..*length]))).count();
        // Only what ends between two complete frames, rows or loops can be taken for a whole file.
        let share = refused as f64 / bytes.len() as f64;
        assert!(share > if name == "truth" { 0.3 } else { 0.5 }, "{name}: {refused} of {} refused", bytes.len());
        assert!(!clear(name, read(b"")), "{name}: an empty file");
    }
}

#[test]
fn random_damage() {
    // Characters that mean something somewhere, which random bytes seldom do.
    const TELLING: &[u8] = b"0123456789.-+eE,;:'\"#_=()[]{}/ \n\r\t*?xyzTF\\";
    for (name, good, read) in corpus() {
        let mut random = SeedPath::new(7).child(name).stream();
        for _ in 0..6000 {
            let mut bytes = good.clone();
            for _ in 0..random.random_range(1..6) {
                let place = random.random_range(0..bytes.len());
                match random.random_range(0..4) {
                    0 => bytes[place] ^= 1 << random.random_range(0..8),
                    1 => bytes[place] = random.random(),
                    2 => bytes[place] = TELLING[random.random_range(0..TELLING.len())],
                    _ => {
                        let end = random.random_range(place..bytes.len());
                        let piece = bytes[place..end.min(place + 30)].to_vec();
                        let target = random.random_range(0..bytes.len());
                        bytes.splice(target..target, piece);
                    }
                }
            }
            clear(name, read(&bytes));
        }
    }
}

#[test]
fn files_of_another_kind() {
    let corpus = corpus();
    for (name, _, read) in &corpus {
        for (_, bytes, _) in &corpus {
            clear(name, read(bytes));
        }
        clear(name, read(&[0; 4096]));
        clear(name, read(&[0xff; 4096]));
        clear(name, read("\u{feff}".as_bytes()));
        clear(name, read(&b"(".repeat(100_000)));
        clear(name, read(&b"[{'\"".repeat(100_000)));
        clear(name, read(&b"1 ".repeat(100_000)));
        clear(name, read("é\u{301}\u{2028}𝄞 ".repeat(1000).as_bytes()));
    }
}

#[test]
fn sizes_that_are_only_claimed() {
    let claimed = |text: &str| parse_xyz(text.as_bytes()).unwrap_err().to_string();
    assert!(claimed("1000000000000\n\nAu 0 0 0\n").contains("1000000000000 atoms, but 1 follows"));
    assert!(claimed("18446744073709551615\n\n").contains("but 0 follow"));
    let head = "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000, 1000000), }\n";
    let mut bytes = b"\x93NUMPY\x02\0".to_vec();
    bytes.extend((head.len() as u32).to_le_bytes());
    bytes.extend(head.as_bytes());
    assert!(parse_npy_bytes(&bytes).unwrap_err().to_string().contains("4000000000000 bytes, but it has 0"));
    bytes[8..12].copy_from_slice(&[0xff; 4]);
    assert!(parse_npy_bytes(&bytes).unwrap_err().to_string().contains("4294967295 bytes long"));
}
