//! Convolutions against sums written out in double precision.

use super::*;

/// Reproducible values between -1 and 1.
fn values(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    (0..count)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

/// Calls `term(input index, weight index, output index)` for every product of a convolution.
fn for_every_product(shape: &ConvolutionShape, mut term: impl FnMut(usize, usize, usize)) {
    let ConvolutionShape { batch, height, width, channels_in, channels_out, kernel, dilation } = *shape;
    let margin = (kernel / 2 * dilation) as isize;
    for (b, y, x) in (0..batch).flat_map(|b| (0..height).flat_map(move |y| (0..width).map(move |x| (b, y, x)))) {
        for (ky, kx) in (0..kernel).flat_map(|ky| (0..kernel).map(move |kx| (ky, kx))) {
            let from_y = (y + ky * dilation) as isize - margin;
            let from_x = (x + kx * dilation) as isize - margin;
            if from_y < 0 || from_y >= height as isize || from_x < 0 || from_x >= width as isize {
                continue;
            }
            let from = (b * height + from_y as usize) * width + from_x as usize;
            let to = (b * height + y) * width + x;
            for i in 0..channels_in {
                for o in 0..channels_out {
                    let weight = ((ky * kernel + kx) * channels_in + i) * channels_out + o;
                    term(from * channels_in + i, weight, to * channels_out + o);
                }
            }
        }
    }
}

/// Largest difference, relative to the root of the number of summed terms of about one.
fn assert_close(found: &[f32], expected: &[f64], terms: usize, what: &str) {
    assert_eq!(found.len(), expected.len());
    let tolerance = 1e-6 * (terms as f64).sqrt().max(1.0) * 2.0;
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        let difference = (f64::from(*found) - expected).abs();
        assert!(difference <= tolerance, "{what}, element {index}: {found}, not {expected} (tolerance {tolerance})");
    }
}

fn check(shape: ConvolutionShape, seed: u64) {
    let input = values(shape.input_len(), seed + 1);
    let weight = values(shape.weight_len(), seed + 2);
    let bias = values(shape.channels_out, seed + 3);
    let skip = values(shape.output_len(), seed + 4);
    let wide = |values: &[f32]| values.iter().map(|&value| f64::from(value)).collect::<Vec<_>>();
    let terms = shape.kernel * shape.kernel * shape.channels_in;

    let mut plain = vec![0.0; shape.output_len()];
    for_every_product(&shape, |i, w, o| plain[o] += f64::from(input[i]) * f64::from(weight[w]));
    let mut out = vec![f32::NAN; shape.output_len()];
    forward(&shape, &input, &weight, &vec![0.0; bias.len()], None, Activation::None, &mut out);
    assert_close(&out, &plain, terms, &format!("{shape:?} forward"));
    let full: Vec<f64> = plain
        .iter()
        .enumerate()
        .map(|(o, sum)| sum + f64::from(bias[o % shape.channels_out]) + f64::from(skip[o]))
        .collect();
    for (activation, slope) in [(Activation::Relu, 0.0), (Activation::LeakyRelu(0.1), 0.1)] {
        let expected: Vec<f64> = full.iter().map(|&v| if v > 0.0 { v } else { slope * v }).collect();
        out.fill(f32::NAN);
        forward(&shape, &input, &weight, &bias, Some(&skip), activation, &mut out);
        assert_close(&out, &expected, terms, &format!("{shape:?} forward with {activation:?}"));
    }

    let gradient = wide(&skip);
    let mut expected = vec![0.0; shape.input_len()];
    for_every_product(&shape, |i, w, o| expected[i] += f64::from(weight[w]) * gradient[o]);
    let mut grad_in = vec![f32::NAN; shape.input_len()];
    backward_input(&shape, &skip, &weight, &mut grad_in);
    let terms_in = shape.kernel * shape.kernel * shape.channels_out;
    assert_close(&grad_in, &expected, terms_in, &format!("{shape:?} gradient to the input"));

    let mut expected = vec![0.0; shape.weight_len()];
    for_every_product(&shape, |i, w, o| expected[w] += f64::from(input[i]) * gradient[o]);
    let mut expected_bias = vec![0.0; shape.channels_out];
    for (o, value) in gradient.iter().enumerate() {
        expected_bias[o % shape.channels_out] += value;
    }
    let mut grad_weight = vec![f32::NAN; shape.weight_len()];
    let mut grad_bias = vec![f32::NAN; shape.channels_out];
    backward_weight(&shape, &input, &skip, &mut grad_weight, &mut grad_bias);
    let pixels = shape.batch * shape.height * shape.width;
    assert_close(&grad_weight, &expected, pixels, &format!("{shape:?} gradient to the weights"));
    assert_close(&grad_bias, &expected_bias, pixels, &format!("{shape:?} gradient to the bias"));
}

const CHANNELS: [usize; 8] = [1, 3, 8, 16, 17, 24, 32, 50];

#[test]
fn every_pair_of_channel_counts() {
    for (number, &channels_in) in CHANNELS.iter().enumerate() {
        for &channels_out in &CHANNELS {
            for (kernel, dilation) in [(3, 1), (1, 1), (3, 2)] {
                let shape =
                    ConvolutionShape { batch: 2, height: 7, width: 9, channels_in, channels_out, kernel, dilation };
                check(shape, number as u64);
            }
        }
    }
}

#[test]
fn every_kernel_dilation_and_odd_size() {
    for kernel in [1, 3, 5, 7] {
        for dilation in [1, 2, 3, 10] {
            for (batch, height, width) in [(1, 1, 1), (1, 2, 1), (3, 1, 5), (2, 5, 3), (1, 13, 17), (3, 21, 11)] {
                for (channels_in, channels_out) in [(1, 1), (3, 5), (9, 2), (17, 24)] {
                    let shape = ConvolutionShape { batch, height, width, channels_in, channels_out, kernel, dilation };
                    check(shape, (kernel * dilation) as u64);
                }
            }
        }
    }
}

#[test]
fn several_bands_and_patches() {
    for (height, width, channels_in, channels_out, dilation) in
        [(70, 61, 24, 24, 1), (9, 300, 32, 8, 1), (80, 90, 40, 1, 4), (130, 40, 1, 16, 2), (33, 257, 2, 3, 1)]
    {
        check(ConvolutionShape { batch: 1, height, width, channels_in, channels_out, kernel: 3, dilation }, 5);
    }
}

#[test]
fn many_rows_of_taps_by_taps() {
    // Wide enough that the products of all taps are made in more than one band.
    check(
        ConvolutionShape {
            batch: 1,
            height: 150,
            width: 500,
            channels_in: 8,
            channels_out: 1,
            kernel: 3,
            dilation: 10,
        },
        6,
    );
}

#[test]
fn no_images_give_no_gradient() {
    let shape =
        ConvolutionShape { batch: 0, height: 4, width: 4, channels_in: 2, channels_out: 3, kernel: 3, dilation: 1 };
    let (mut weight, mut bias) = (vec![1.0; shape.weight_len()], vec![1.0; 3]);
    backward_weight(&shape, &[], &[], &mut weight, &mut bias);
    assert!(weight.iter().chain(&bias).all(|&value| value == 0.0));
    forward(&shape, &[], &weight, &bias, None, Activation::None, &mut []);
}

#[test]
fn the_same_bits_for_any_number_of_threads() {
    for (channels_in, channels_out, dilation) in [(24, 24, 1), (1, 16, 1), (20, 1, 3), (17, 50, 2)] {
        let shape =
            ConvolutionShape { batch: 3, height: 45, width: 37, channels_in, channels_out, kernel: 3, dilation };
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let (input, weight) = (values(shape.input_len(), 1), values(shape.weight_len(), 2));
                let (bias, gradient) = (values(channels_out, 3), values(shape.output_len(), 4));
                let mut out = vec![0.0; shape.output_len()];
                forward(&shape, &input, &weight, &bias, None, Activation::Relu, &mut out);
                let mut grad_in = vec![0.0; shape.input_len()];
                backward_input(&shape, &gradient, &weight, &mut grad_in);
                let mut grad_weight = vec![0.0; shape.weight_len()];
                let mut grad_bias = vec![0.0; channels_out];
                backward_weight(&shape, &input, &gradient, &mut grad_weight, &mut grad_bias);
                let all = [out, grad_in, grad_weight, grad_bias].concat();
                all.into_iter().map(f32::to_bits).collect::<Vec<_>>()
            })
        };
        let one = run(1);
        assert!(one == run(2) && one == run(5), "{shape:?}");
    }
}

#[test]
fn pooling_and_upsampling_of_known_values() {
    // Two channels, two by four pixels.
    let large: Vec<f32> = (0..16).map(|i| i as f32).collect();
    let mut small = [0.0; 4];
    average_pool2(2, 4, 2, &large, &mut small);
    assert_eq!(small, [5.0, 6.0, 9.0, 10.0]);
    upsample2_nearest_backward(2, 4, 2, &large, &mut small);
    assert_eq!(small, [20.0, 24.0, 36.0, 40.0]);
    let mut back = [0.0; 16];
    upsample2_nearest(2, 4, 2, &[1.0, 2.0, 3.0, 4.0], &mut back);
    assert_eq!(back, [1.0, 2.0, 1.0, 2.0, 3.0, 4.0, 3.0, 4.0, 1.0, 2.0, 1.0, 2.0, 3.0, 4.0, 3.0, 4.0]);
    average_pool2_backward(2, 4, 2, &[4.0, 8.0, 12.0, 16.0], &mut back);
    assert_eq!(back, [1.0, 2.0, 1.0, 2.0, 3.0, 4.0, 3.0, 4.0, 1.0, 2.0, 1.0, 2.0, 3.0, 4.0, 3.0, 4.0]);
}

#[test]
fn space_to_depth_keeps_squares_together_and_turns_back() {
    let large = values(2 * 6 * 4 * 3, 8);
    let mut small = vec![0.0; large.len()];
    space_to_depth2(6, 4, 3, &large, &mut small);
    // Image 1, small pixel (2, 1): its part (dy 1, dx 0), channel 2.
    assert_eq!(small[((3 + 2) * 2 + 1) * 12 + 2 * 3 + 2], large[((6 + 5) * 4 + 2) * 3 + 2]);
    let mut back = vec![0.0; large.len()];
    depth_to_space2(6, 4, 3, &small, &mut back);
    assert_eq!(large, back);
}

#[test]
fn channels_are_joined_and_split() {
    let (first, second) = (values(5000 * 3, 1), values(5000 * 2, 2));
    let mut joined = vec![0.0; 5000 * 5];
    concatenate(&first, 3, &second, 2, &mut joined);
    assert_eq!(joined[4999 * 5..], [&first[4999 * 3..], &second[4999 * 2..]].concat());
    let (mut again, mut again_second) = (vec![0.0; first.len()], vec![0.0; second.len()]);
    split(&joined, &mut again, 3, &mut again_second, 2);
    assert!(first == again && second == again_second);
}
