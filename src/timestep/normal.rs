//! The quantile function of the standard normal law.

/// Numerator and denominator for |u − 1/2| ≤ 0.425, in 0.425² − (u − 1/2)²; highest power first.
#[rustfmt::skip]
const CENTRE: [[f64; 8]; 2] = [
    [
        2_509.080_928_730_122_7, 33_430.575_583_588_13, 67_265.770_927_008_7, 45_921.953_931_549_87,
        13_731.693_765_509_46, 1_971.590_950_306_551_3, 133.141_667_891_784_38, 3.387_132_872_796_366_5,
    ],
    [
        5_226.495_278_852_854, 28_729.085_735_721_943, 39_307.895_800_092_71, 21_213.794_301_586_597,
        5_394.196_021_424_751, 687.187_007_492_057_9, 42.313_330_701_600_91, 1.0,
    ],
];

/// Numerator and denominator for √(−ln u) ≤ 5, in √(−ln u) − 1.6; highest power first.
#[rustfmt::skip]
const MIDDLE: [[f64; 8]; 2] = [
    [
        0.000_774_545_014_278_341_4, 0.022_723_844_989_269_184, 0.241_780_725_177_450_6, 1.270_458_252_452_368_4,
        3.647_848_324_763_204_5, 5.769_497_221_460_691, 4.630_337_846_156_546, 1.423_437_110_749_683_5,
    ],
    [
        1.050_750_071_644_416_9e-9, 0.000_547_593_808_499_534_5, 0.015_198_666_563_616_457, 0.148_103_976_427_480_08,
        0.689_767_334_985_1, 1.676_384_830_183_803_8, 2.053_191_626_637_759, 1.0,
    ],
];

/// Numerator and denominator for √(−ln u) > 5, in √(−ln u) − 5; highest power first.
#[rustfmt::skip]
const TAIL: [[f64; 8]; 2] = [
    [
        2.010_334_399_292_288_1e-7, 2.711_555_568_743_487_6e-5, 0.001_242_660_947_388_078_4, 0.026_532_189_526_576_124,
        0.296_560_571_828_504_87, 1.784_826_539_917_291_3, 5.463_784_911_164_114, 6.657_904_643_501_103,
    ],
    [
        2.044_263_103_389_939_7e-15, 1.421_511_758_316_446e-7, 1.846_318_317_510_054_8e-5, 0.000_786_869_131_145_613_3,
        0.014_875_361_290_850_615, 0.136_929_880_922_735_8, 0.599_832_206_555_888, 1.0,
    ],
];

/// z with Φ(z) = `u`, for `u` in [0, 1], to about 16 digits; infinite at the ends.
///
/// Rational approximations of Wichura 1988, algorithm AS 241 (Applied Statistics 37, 477).
pub(super) fn normal_quantile(u: f64) -> f64 {
    let centred = u - 0.5;
    if centred.abs() <= 0.425 {
        return centred * ratio(&CENTRE, 0.425 * 0.425 - centred * centred);
    }
    let tail = u.min(1.0 - u);
    if tail <= 0.0 {
        return f64::INFINITY.copysign(centred);
    }
    let root = (-tail.ln()).sqrt();
    let size = if root <= 5.0 { ratio(&MIDDLE, root - 1.6) } else { ratio(&TAIL, root - 5.0) };
    size.copysign(centred)
}

fn ratio([numerator, denominator]: &[[f64; 8]; 2], x: f64) -> f64 {
    let [top, bottom] = [numerator, denominator].map(|c| c.iter().fold(0.0, |sum, c| sum * x + c));
    top / bottom
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_coefficients_have_the_published_sums() {
        for (table, sum) in
            [(CENTRE, 55.883_192_880_614_9), (MIDDLE, 49.332_065_033_016_1), (TAIL, 47.525_833_175_492_9)]
        {
            // The check sums of the algorithm are over the digits before the exponent, 1 left out.
            let digits = |c: f64| c / 10f64.powi(c.log10().floor() as i32);
            let found: f64 = table.concat().into_iter().filter(|c| *c != 1.0).map(digits).sum();
            assert!((found - sum).abs() < 1e-12, "{found} {sum}");
        }
    }

    #[test]
    fn quantiles_are_those_of_published_tables() {
        for (u, z) in [
            (1e-300, -37.047_096_299_361_2),
            (1e-20, -9.262_340_089_798_405),
            (1e-10, -6.361_340_902_404_056),
            (0.1, -1.281_551_565_544_600_8),
            (0.25, -0.674_489_750_196_081_7),
            (0.975, 1.959_963_984_540_053_6),
        ] {
            let found = normal_quantile(u);
            assert!((found - z).abs() <= 4.0 * f64::EPSILON * z.abs(), "{u}: {found} {z}");
        }
        assert_eq!(normal_quantile(0.5), 0.0);
        assert_eq!((normal_quantile(0.0), normal_quantile(1.0)), (f64::NEG_INFINITY, f64::INFINITY));
    }

    #[test]
    fn it_inverts_the_integral_of_the_density() {
        let density = |z: f64| (-0.5 * z * z).exp() / std::f64::consts::TAU.sqrt();
        // Simpson's rule from −8 on, where 6e-16 is missing; each step is checked.
        let (width, mut area) = (1e-2, 0.0);
        for i in 0..1600 {
            let (left, right) = (-8.0 + f64::from(i) * width, -8.0 + f64::from(i + 1) * width);
            area += width / 6.0 * (density(left) + 4.0 * density(0.5 * (left + right)) + density(right));
            if right.abs() < 5.0 {
                let found = normal_quantile(area);
                assert!((found - right).abs() * density(right) < 1e-11, "{right}: {found}");
            }
        }
    }
}
