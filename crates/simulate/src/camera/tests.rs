use super::*;

fn flat(n: usize) -> (Array2<f32>, Grid) {
    (Array2::ones((n, n)), Grid::covering(n as f64 * 0.2, n as f64 * 0.2, n, n))
}

fn moments(frame: &Array2<f32>) -> (f64, f64) {
    let n = frame.len() as f64;
    let mean = frame.iter().map(|v| f64::from(*v)).sum::<f64>() / n;
    (mean, frame.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / n)
}

#[test]
fn mean_counts_are_the_dose_and_the_noise_is_poisson() {
    let (image, grid) = flat(256);
    for dose in [2.0, 100.0, 4000.0] {
        let frame = Camera::default().expose(&image, grid, dose, &HotPixels::default(), SeedPath::new(1)).unwrap();
        let expected = dose * 0.04;
        let (mean, variance) = moments(&frame);
        // Five standard errors of 65536 pixels.
        assert!((mean - expected).abs() < 5.0 * (expected / 65_536.0).sqrt(), "{mean} {expected}");
        assert!(
            (variance / expected - 1.0).abs() < 5.0 * ((2.0 + 1.0 / expected) / 65_536.0).sqrt(),
            "{variance} {expected}"
        );
    }
}

/// The power spectrum of a flat frame is `mean NTF^2`, and its signal is scaled by the MTF alone.
#[test]
fn the_noise_spectrum_is_what_the_ntf_says() {
    let (mut image, grid) = flat(256);
    // A grating along x at half of Nyquist's frequency.
    for ((_, x), value) in image.indexed_iter_mut() {
        *value += 0.5 * (std::f32::consts::PI * 0.5 * x as f32).cos();
    }
    let mtf = TransferCurve::Parametric { c1: 1.0, c2: 0.0, c3: 0.4, c4: 2.5 };
    let ntf = TransferCurve::Parametric { c1: 1.0, c2: 0.0, c3: 0.6, c4: 2.0 };
    for ntf in [None, Some(ntf)] {
        let camera = Camera { mtf: mtf.clone(), ntf: ntf.clone(), ..Camera::default() };
        let noise_curve = ntf.unwrap_or_else(|| mtf.clone());
        let dose = 1000.0;
        let mean = dose * 0.04;
        let (mut power, mut grating) = ([0.0; 4], 0.0);
        let frames = 6;
        for frame in 0..frames {
            let frame = camera.expose(&image, grid, dose, &HotPixels::default(), SeedPath::new(frame)).unwrap();
            let rows: Vec<f64> =
                (0..256).map(|x| frame.column(x).iter().map(|v| f64::from(*v)).sum::<f64>() / 256.0).collect();
            grating += 2.0
                * rows.iter().enumerate().map(|(x, v)| v * (std::f64::consts::PI * 0.5 * x as f64).cos()).sum::<f64>()
                / 256.0
                / mean
                / f64::from(frames as u32);
            for (bin, power) in power.iter_mut().enumerate() {
                *power += ring_power(&frame, 0.2 + 0.2 * bin as f64) / f64::from(frames as u32);
            }
        }
        assert!((grating / 0.5 / mtf.at(0.5) - 1.0).abs() < 0.01, "{grating}");
        for (bin, power) in power.iter().enumerate() {
            let expected = mean * noise_curve.at(0.2 + 0.2 * bin as f64).powi(2);
            assert!((power / expected - 1.0).abs() < 0.04, "{bin}: {power} {expected}");
        }
    }
}

/// Mean power per pixel in a ring of frequencies around `q` (units of Nyquist's), away from the x axis with its grating.
fn ring_power(frame: &Array2<f32>, q: f64) -> f64 {
    use num_complex::Complex;
    let n = frame.nrows();
    let fft = rustfft::FftPlanner::<f64>::new().plan_fft_forward(n);
    let mut values: Vec<Complex<f64>> = frame.iter().map(|v| Complex::new(f64::from(*v), 0.0)).collect();
    fft.process(&mut values);
    let mut columns: Vec<Complex<f64>> = (0..n * n).map(|i| values[(i % n) * n + i / n]).collect();
    fft.process(&mut columns);
    let signed = |i: usize| if 2 * i < n { i as f64 } else { i as f64 - n as f64 } / (0.5 * n as f64);
    let ring: Vec<f64> = (0..n * n)
        .filter(|i| (signed(i / n).hypot(signed(i % n)) - q).abs() < 0.01 && signed(i % n).abs() > 0.02)
        .map(|i| columns[i].norm_sqr() / frame.len() as f64)
        .collect();
    ring.iter().sum::<f64>() / ring.len() as f64
}

#[test]
fn binning_gain_offset_hot_pixels_and_saturation() {
    let (image, grid) = flat(64);
    let camera = Camera {
        binning: 2,
        gain_counts_per_electron: 16.0,
        offset_counts: 100.0,
        dark_noise_electrons: 3.0,
        hot_pixel_fraction: 0.01,
        hot_pixel_counts: 1e6,
        saturation_counts: Some(4000.0),
        pixel_type: PixelType::U16,
        ..Camera::default()
    };
    let hot = camera.hot_pixels(32, 32, SeedPath::new(9));
    let frame = camera.expose(&image, grid, 500.0, &hot, SeedPath::new(2)).unwrap();
    assert_eq!(frame.dim(), (32, 32));
    assert!(frame.iter().all(|v| v.fract() == 0.0 && (0.0..=4000.0).contains(v)));
    let full = frame.iter().filter(|v| **v == 4000.0).count();
    assert_eq!(full, hot.0.len());
    assert!(full > 0 && full < 40);
    let rest: Vec<f64> = frame.iter().filter(|v| **v < 4000.0).map(|v| f64::from(*v)).collect();
    let mean = rest.iter().sum::<f64>() / rest.len() as f64;
    // 500 e/A2 on four pixels of 0.2 angstrom: 80 electrons, 16 counts each; noise 9.4 electrons.
    assert!((mean - (80.0 * 16.0 + 100.0)).abs() < 5.0 * 16.0 * 9.5 / 32.0, "{mean}");
}

#[test]
fn threads_do_not_matter() {
    let (image, grid) = flat(96);
    let camera = Camera {
        dark_noise_electrons: 1.0,
        mtf: TransferCurve::Parametric { c1: 1.0, c2: 0.0, c3: 0.4, c4: 2.5 },
        ..Camera::default()
    };
    let frames: Vec<_> = [1, 2, 5]
        .map(|threads| {
            rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap()
                .install(|| camera.expose(&image, grid, 50.0, &HotPixels::default(), SeedPath::new(7)).unwrap())
        })
        .into();
    assert_eq!(frames[0], frames[1]);
    assert_eq!(frames[0], frames[2]);
}

#[test]
fn bad_settings_are_refused() {
    let (image, grid) = flat(9);
    let expose = |camera: Camera, dose| {
        camera.expose(&image, grid, dose, &HotPixels::default(), SeedPath::new(1)).unwrap_err().to_string()
    };
    assert!(expose(Camera::default(), 0.0).contains("dose"));
    assert!(expose(Camera { binning: 2, ..Camera::default() }, 1.0).contains("multiple of the binning"));
    assert!(expose(Camera { gain_counts_per_electron: 0.0, ..Camera::default() }, 1.0).contains("gain"));
    let bad = TransferCurve::Parametric { c1: 1.0, c2: 0.0, c3: 0.0, c4: 2.0 };
    assert!(expose(Camera { mtf: bad, ..Camera::default() }, 1.0).contains("transfer"));
}

#[test]
fn tables_are_read_and_interpolated() {
    let table = TransferCurve::parse_table("3\n1\n0.5\n0.1\n").unwrap();
    assert_eq!([0.0, 0.25, 0.5, 1.0, 1.4].map(|q| table.at(q)), [1.0, 0.75, 0.5, 0.1, 0.1]);
    assert!(TransferCurve::parse_table("3\n1\n0.5\n").unwrap_err().contains("2 follow"));
    assert!(TransferCurve::parse_table("3\n1\nx\n1\n").unwrap_err().contains("line 3"));
    assert!(TransferCurve::parse_table("").unwrap_err().contains("empty"));
}
