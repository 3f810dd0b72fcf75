"""The corruptions, against loops and closed forms written from the paper's code, SciPy and PIL."""

import colorsys
import io
import math

import cv2
import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from looc_mm.corruptions import CORRUPTIONS, GROUPS, SEVERITIES, blur, corrupt, weather


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def gray(value: int, side: int = 300) -> np.ndarray:
    return np.full((side, side, 3), value, np.uint8)


def distance(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.sqrt(np.mean((a.astype(float) - b) ** 2)))


@pytest.fixture(scope='module')
def photo(photographs) -> np.ndarray:
    """(224, 224, 3)."""
    return cv2.resize(photographs[0][:, 100:527], (224, 224), interpolation=cv2.INTER_AREA)


def test_there_are_fifteen_in_four_groups():
    assert [len(names) for names in GROUPS.values()] == [3, 4, 4, 4]
    assert [name for names in GROUPS.values() for name in names] == list(CORRUPTIONS)
    assert all(each.name == name and each.__doc__ for name, each in CORRUPTIONS.items())


@pytest.mark.parametrize('name', CORRUPTIONS)
def test_a_pure_function_for_any_size(name, photo):
    # gray pixels, single ones, odd sizes, views with negative strides
    lone = np.repeat(photo[:50, :33, :1], 3, 2)
    for image in (photo[:37, :64], photo[:1, :1], photo[:2, :9], photo[:23, :5, ::-1], photo[::-1][:40, :40], lone):
        before = image.copy()
        for severity in SEVERITIES:
            out = corrupt(image, name, severity, rng())
            assert out.shape == image.shape and out.dtype == np.uint8 and out.flags.owndata | out.flags.c_contiguous
            np.testing.assert_array_equal(out, corrupt(image.copy(), name, severity, rng()))
        np.testing.assert_array_equal(image, before)
    drawn = name not in ('defocus_blur', 'zoom_blur', 'brightness', 'contrast', 'pixelate', 'jpeg_compression')
    assert drawn == (corrupt(photo, name, 3, rng(1)) != corrupt(photo, name, 3, rng(2))).any()


# Severities along which the distance grows. The published constants of elastic_transform have two regimes, moved as
# a whole and then pixel by pixel; those of glass_blur have more rounds at 1 and 3 and a longer reach at 2 and 4; and
# frost at 4 is that at 3 on a darker picture, which is nearer to the original where the frost is bright.
CHAINS = {
    'elastic_transform': [(1, 2), (3, 4, 5)],
    'glass_blur': [(1, 3), (2, 4, 5)],
    'frost': [(1, 2, 3, 5), (2, 4, 5)],
}


@pytest.mark.parametrize('name', CORRUPTIONS)
def test_severity_moves_away_from_the_original(name, photo, photographs):
    pictures = [photo, photographs[1][100:324, 200:424]]
    far = {
        severity: np.mean(
            [distance(corrupt(image, name, severity, rng(i)), image) for image in pictures for i in range(8)]
        )
        for severity in SEVERITIES
    }
    for chain in CHAINS.get(name, [SEVERITIES]):
        assert all(far[a] < far[b] for a, b in zip(chain, chain[1:], strict=False)), far


def test_what_is_refused():
    with pytest.raises(ValueError, match="'rain'; allowed are gaussian_noise, shot_noise"):
        corrupt(gray(1), 'rain', 1, rng())
    with pytest.raises(ValueError, match='severity 0; 1 to 5'):
        corrupt(gray(1), 'fog', 0, rng())
    with pytest.raises(ValueError, match=r'\(300, 300\) and dtype uint8; \(H, W, 3\) uint8'):
        corrupt(gray(1)[..., 0], 'fog', 1, rng())
    with pytest.raises(ValueError, match='dtype float64'):
        corrupt(gray(1) / 255, 'fog', 1, rng())


@pytest.mark.parametrize('severity, deviation', zip(SEVERITIES, (0.08, 0.12, 0.18, 0.26, 0.38), strict=True))
def test_gaussian_noise(severity, deviation):
    out = corrupt(gray(128), 'gaussian_noise', severity, rng())
    for level in (50, 100, 128, 170, 230):
        share = (1 + math.erf((level - 128) / (255 * deviation * math.sqrt(2)))) / 2
        assert (out < level).mean() == pytest.approx(share, abs=0.004)


@pytest.mark.parametrize('severity, photons', zip(SEVERITIES, (60, 25, 12, 5, 3), strict=True))
def test_shot_noise(severity, photons):
    out = corrupt(gray(40), 'shot_noise', severity, rng())
    assert set(np.unique(out)) <= {int(255 * count / photons + 1e-6) for count in range(photons + 1)}
    assert (out == 0).mean() == pytest.approx(math.exp(-40 / 255 * photons), abs=0.003)


@pytest.mark.parametrize('severity, amount', zip(SEVERITIES, (0.03, 0.06, 0.09, 0.17, 0.27), strict=True))
def test_impulse_noise(severity, amount):
    out = corrupt(gray(128), 'impulse_noise', severity, rng())
    assert set(np.unique(out)) == {0, 128, 255}
    assert [(out == value).mean() for value in (0, 255)] == pytest.approx([amount / 2] * 2, abs=0.003)


@pytest.mark.parametrize('severity, radius', zip(SEVERITIES, (3, 4, 6, 8, 10), strict=True))
def test_defocus_blur_is_the_mean_over_a_disc(photo, severity, radius):
    out = corrupt(photo, 'defocus_blur', severity, rng())
    reach = range(-radius, radius + 1)
    inside = [(y, x) for y in reach for x in reach if x * x + y * y <= radius * radius]
    for row, column in ((30, 40), (100, 60), (150, 111)):
        mean = np.mean([photo[row + y, column + x] for y, x in inside], 0)
        np.testing.assert_allclose(out[row, column], mean, atol=3 if severity > 1 else 1.001)
    kernel = blur.disc(radius, 0.1)
    np.testing.assert_allclose(kernel[kernel > 1e-6], 1 / len(inside), rtol=1e-5)
    soft = blur.disc(radius, 0.5)  # the rim alone is softer: weights of a 3-tap or 5-tap Gaussian of sigma 0.5
    side = np.exp(-2) / (1 + 2 * np.exp(-2) + (2 * np.exp(-8) if radius > 8 else 0))
    middle = len(soft) // 2
    if radius < 8:
        outer = [soft[middle, middle + radius + 1], kernel[middle, middle] * side * (1 - 2 * side)]
        assert outer[0] == pytest.approx(outer[1], rel=1e-4)


@pytest.mark.parametrize('reach, rounds, swap', [(1, 2, False), (3, 2, False), (2, 3, True)])
def test_glass_blur_shuffles_as_the_plain_loop(reach, rounds, swap):
    height, width = 23, 31
    pixels = rng(1).integers(0, 255, (height, width, 3))
    expected, draws = pixels.copy(), rng()
    for _ in range(rounds):
        shifts = draws.integers(-reach, reach, (2, (height - 2 * reach) * (width - 2 * reach)))
        assert shifts.min() == -reach and shifts.max() == reach - 1
        moves = iter(shifts.T)
        for y in range(height - reach, reach, -1):
            for x in range(width - reach, reach, -1):
                down, right = next(moves)
                partner = expected[y + down, x + right].copy()
                if swap:
                    expected[y + down, x + right] = expected[y, x]
                expected[y, x] = partner
    source = blur.shuffle(height, width, reach, rounds, rng(), swap)
    np.testing.assert_array_equal(pixels.reshape(-1, 3)[source], expected)
    counts = np.bincount(source.ravel(), minlength=source.size)
    assert (counts == 1).all() == swap, 'swapping keeps the multiset of pixels, copying loses some'


def test_glass_blur_blurs_before_and_after(photo):
    def soften(pixels):
        return (
            np.stack([ndimage.gaussian_filter(pixels[..., c] / 255, 1.5, mode='nearest') for c in range(3)], -1) * 255
        )

    source = blur.shuffle(224, 224, 4, 2, rng())
    expected = soften(soften(photo).astype(np.uint8).reshape(-1, 3)[source])
    np.testing.assert_allclose(corrupt(photo, 'glass_blur', 5, rng()), expected, atol=1.5)
    assert distance(corrupt(photo, 'glass_blur', 3, rng(), swap=True), photo) > 10


@pytest.mark.parametrize('angle', [-130, -90, -40, 0, 20, 45])
def test_motion_blur_is_half_a_gaussian_along_a_line(photo, angle):
    radius, sigma, image = 10, 4, photo[100:130, 60:100, 0].astype(np.float32)
    weights = [math.exp(-(i**2) / (2 * sigma**2)) for i in range(21)]
    expected = np.zeros_like(image)
    for y in range(30):
        for x in range(40):
            for i, weight in enumerate(weights):
                down = math.ceil(i * math.sin(math.radians(angle)) - 0.5)
                right = math.ceil(i * math.cos(math.radians(angle)) - 0.5)
                pixel = image[min(max(y + down, 0), 29), min(max(x + right, 0), 39)]
                expected[y, x] += pixel * weight / sum(weights)
    np.testing.assert_allclose(blur.streak(image, radius, sigma, angle), expected, atol=0.01)


@pytest.mark.parametrize('severity, radius, sigma', [(1, 10, 3), (2, 15, 5), (3, 15, 8), (4, 15, 12), (5, 20, 15)])
def test_motion_blur_of_an_edge(severity, radius, sigma):
    image = gray(0, 101)
    image[:, 50:] = 255  # seen from column x, the line's pixels beyond (50 - x) / cos(angle) are white
    weights = np.exp(-(np.arange(2 * radius + 1) ** 2) / (2 * sigma**2))
    angle = rng().uniform(-45, 45)
    columns = np.ceil(np.arange(2 * radius + 1) * math.cos(math.radians(angle)) - 0.5)
    expected = [math.floor(255 * weights[columns + x >= 50].sum() / weights.sum() + 1e-3) for x in range(101)]
    np.testing.assert_array_equal(corrupt(image, 'motion_blur', severity, rng())[70, :, 1], expected)


def test_motion_blur_cuts_fractions_off(photo):
    """As ImageMagick does. Rounding would make a picture brighter by half a grey level."""
    exact = blur.streak(photo.astype(np.float64), 15, 8, rng().uniform(-45, 45))
    difference = corrupt(photo, 'motion_blur', 3, rng()) - exact
    assert -1 < difference.min() and difference.max() < 2e-3
    assert difference.mean() == pytest.approx(-0.5, abs=0.02)


def test_flakes_of_snow_have_whole_grey_levels(photo):
    """The published steps one after the other, with the fractions of the flakes cut off twice."""
    draws = rng(3)
    flakes = blur.magnify(0.55 + 0.3 * draws.standard_normal((224, 224), np.float32), 4)
    flakes = np.floor(255 * np.clip(np.where(flakes < 0.9, 0, flakes), 0, 1) + 1e-3)
    flakes = np.floor(blur.streak(flakes.astype(np.float64), 12, 8, draws.uniform(-135, -45)) + 1e-3)
    luma = photo @ np.array([0.299, 0.587, 0.114])
    pale = 0.7 * photo + 0.3 * np.maximum(photo, 1.5 * luma[..., None] + 127.5)
    expected = np.floor(np.clip(pale + (flakes + np.rot90(flakes, 2))[..., None], 0, 255) + 1e-3)
    out = corrupt(photo, 'snow', 3, rng(3))
    assert (out == expected).mean() > 0.999


@pytest.mark.parametrize('factor', [1, 1.03, 1.11, 1.3, 2.5, 4.5])
def test_magnify_is_scipys_zoom(photo, factor):
    image = photo[:97, :97].astype(float)
    crop = math.ceil(97 / factor)
    top = (97 - crop) // 2
    zoomed = ndimage.zoom(image[top : top + crop, top : top + crop], (factor, factor, 1), order=1)
    trim = (len(zoomed) - 97) // 2
    np.testing.assert_allclose(blur.magnify(image, factor), zoomed[trim : trim + 97, trim : trim + 97], atol=1e-9)


@pytest.mark.parametrize(
    'severity, last, step, count',
    [(1, 1.11, 0.01, 12), (2, 1.15, 0.01, 16), (3, 1.2, 0.02, 11), (4, 1.24, 0.02, 13), (5, 1.3, 0.03, 11)],
)
def test_zoom_blur_is_a_mean(photo, severity, last, step, count):
    factors = np.arange(1, last + step / 2, step)
    assert len(factors) == count
    expected = np.mean([photo, *(blur.magnify(photo.astype(float), factor) for factor in factors)], 0)
    np.testing.assert_allclose(corrupt(photo, 'zoom_blur', severity, rng()), expected, atol=1.01)


@pytest.mark.parametrize('severity, keep', zip(SEVERITIES, (0.8, 0.7, 0.7, 0.65, 0.55), strict=True))
def test_snow_whitens_and_falls(severity, keep):
    out = corrupt(gray(0, 224), 'snow', severity, rng()).astype(int)
    assert np.percentile(out, 1) == int((1 - keep) * 127.5 + 1e-3), 'between the flakes: black made pale'
    flakes = out[..., 0] - out.min()
    assert (out == out[..., :1]).all() and 0.01 < (flakes > 20).mean() < 0.9
    np.testing.assert_array_equal(out, out[::-1, ::-1])  # the flakes are laid on from both ends
    steps = [np.abs(np.diff(flakes, axis=axis)).mean() for axis in (0, 1)]
    assert steps[0] < steps[1], 'streaks are nearer to vertical'


@pytest.fixture
def frost_dir(tmp_path) -> str:
    for index, name in enumerate(weather.FROST_FILES):
        cv2.imwrite(str(tmp_path / name), np.full((60 + index, 80, 3), (30, 20, 10), np.uint8))  # BGR
    return str(tmp_path)


@pytest.mark.parametrize(
    'severity, keep, add', [(1, 1, 0.4), (2, 0.8, 0.6), (3, 0.7, 0.7), (4, 0.65, 0.7), (5, 0.6, 0.75)]
)
@pytest.mark.parametrize('side', [50, 100])
def test_frost_adds_a_picture(frost_dir, side, severity, keep, add):
    out = corrupt(gray(100, side), 'frost', severity, rng(), frost_dir=frost_dir)
    expected = [keep * 100 + add * channel for channel in (10, 20, 30)]
    np.testing.assert_allclose(out, np.broadcast_to(expected, out.shape), atol=1.5)  # JPEG is off by one


def test_frost_without_its_files(frost_dir, tmp_path):
    pictures = [weather.grow(index, 200) for index in (0, 1)]
    np.testing.assert_array_equal(pictures[0], weather.grow(0, 200))
    assert distance(*pictures) > 30 and all(50 < each.mean() < 140 and each.std() > 30 for each in pictures)
    (tmp_path / 'frost2.png').unlink()
    with pytest.raises(ValueError, match=r'lacks frost2.png\. Put there the files of github.com/hendrycks/robustness'):
        corrupt(gray(1), 'frost', 1, rng(), frost_dir=str(tmp_path / '.'))
        weather.check_frost(frost_dir)
    with pytest.raises(ValueError, match='lacks frost1.png, frost2.png'):
        corrupt(gray(1), 'frost', 1, rng(), frost_dir='nowhere')


def test_plasma_is_the_diamond_square_loop():
    size, decay = 16, 1.7
    draws, heights, step, amplitude = rng(), np.zeros((16, 16)), 16, 100.0
    while step > 1:
        half, cells = step // 2, size // step
        for rows, columns, around in [  # squares' centres, then the edges' middles
            (half, half, [(-half, -half), (-half, half), (half, -half), (half, half)]),
            (0, half, [(0, -half), (0, half), (-half, 0), (half, 0)]),
            (half, 0, [(0, -half), (0, half), (-half, 0), (half, 0)]),
        ]:
            noise = amplitude * draws.uniform(-amplitude, amplitude, (cells, cells))
            for i in range(cells):
                for j in range(cells):
                    y, x = rows + i * step, columns + j * step
                    mean = np.mean([heights[(y + down) % size, (x + right) % size] for down, right in around])
                    heights[y, x] = mean + noise[i, j]
        step, amplitude = half, amplitude / decay
    heights = (heights - heights.min()) / (heights.max() - heights.min())
    np.testing.assert_allclose(weather.plasma(size, decay, rng()), heights, atol=1e-12)


@pytest.mark.parametrize('severity, density', zip(SEVERITIES, (1.5, 2, 2.5, 2.5, 3), strict=True))
def test_fog_keeps_the_brightest_value(severity, density):
    out = corrupt(gray(102, 256), 'fog', severity, rng())  # the whole plasma, from 0 to 1
    share = 0.4 / (0.4 + density)
    assert out.min() == int(102 * share + 1e-3) and out.max() == int((102 + 255 * density) * share + 1e-3) == 102


@pytest.mark.parametrize('severity, decay', zip(SEVERITIES, (2, 2, 1.7, 1.5, 1.4), strict=True))
def test_fog_is_the_plasma_of_this_decay(severity, decay):
    out = corrupt(gray(255, 200), 'fog', severity, rng())[..., 0].astype(float)
    assert np.corrcoef(out.ravel(), weather.plasma(256, decay, rng())[:200, :200].ravel())[0, 1] > 0.9999


@pytest.mark.parametrize('severity', SEVERITIES)
def test_brightness_is_hsvs(photo, severity):
    pixels = np.concatenate([photo[::45, ::45].reshape(-1, 3), [[0, 0, 0], [255, 0, 0], [3, 0, 0]]]).astype(np.uint8)
    expected = []
    for pixel in pixels:
        hue, saturation, value = colorsys.rgb_to_hsv(*pixel / 255)
        expected.append([255 * part for part in colorsys.hsv_to_rgb(hue, saturation, min(1, value + severity / 10))])
    out = corrupt(pixels[None], 'brightness', severity, rng())[0]
    np.testing.assert_allclose(out + 0.5, expected, atol=0.51)


@pytest.mark.parametrize('severity, keep', zip(SEVERITIES, (0.4, 0.3, 0.2, 0.1, 0.05), strict=True))
def test_contrast(photo, severity, keep):
    out = corrupt(photo, 'contrast', severity, rng())
    for channel in range(3):
        mean = sum(map(int, photo[..., channel].ravel())) / 224**2
        np.testing.assert_allclose(out[..., channel] + 0.5, mean + keep * (photo[..., channel] - mean), atol=0.51)


@pytest.mark.parametrize(
    'severity, amplitude, sigma, jitter',
    [(1, 2, 0.7, 0.1), (2, 2, 0.08, 0.2), (3, 0.05, 0.01, 0.02), (4, 0.07, 0.01, 0.02), (5, 0.12, 0.01, 0.02)],
)
def test_elastic_transform_is_scipys(photo, severity, amplitude, sigma, jitter):
    image, draws = photo[:120, :90].astype(np.float32), rng()
    corners = np.float32([[75, 90], [75, 30], [15, 30]])  # x, y: the middle, and a third of the shorter side around it
    moved = corners + draws.uniform(-244 * jitter, 244 * jitter, (3, 2)).astype(np.float32)
    image = cv2.warpAffine(image, cv2.getAffineTransform(corners, moved), (90, 120), borderMode=cv2.BORDER_REFLECT_101)
    noise = draws.uniform(-1, 1, (2, 120, 90))
    smooth = [
        244 * amplitude * ndimage.gaussian_filter(each, 244 * sigma, mode='reflect', truncate=3) for each in noise
    ]
    y, x = np.mgrid[:120, :90]
    places = [y + smooth[1], x + smooth[0]]
    expected = [ndimage.map_coordinates(image[..., c], places, order=1, mode='reflect') for c in range(3)]
    off = np.abs(corrupt(photo[:120, :90], 'elastic_transform', severity, rng()) + 0.5 - np.stack(expected, -1))
    assert off.mean() < 0.5 and np.percentile(off, 99) < 3  # OpenCV 4 interpolates on a grid of 1/32 pixel


@pytest.mark.parametrize('severity, factor', zip(SEVERITIES, (0.6, 0.5, 0.4, 0.3, 0.25), strict=True))
def test_pixelate_is_pils_box(photo, severity, factor):
    side = int(224 * factor)
    expected = (
        Image.fromarray(photo).resize((side, side), Image.Resampling.BOX).resize((224, 224), Image.Resampling.BOX)
    )
    np.testing.assert_array_equal(corrupt(photo, 'pixelate', severity, rng()), expected)


@pytest.mark.parametrize('severity, quality', zip(SEVERITIES, (25, 18, 15, 10, 7), strict=True))
def test_jpeg_compression_is_pils(photo, severity, quality):
    file = io.BytesIO()
    Image.fromarray(photo).save(file, 'JPEG', quality=quality)
    off = corrupt(photo, 'jpeg_compression', severity, rng()) - np.asarray(Image.open(file), float)
    assert np.abs(off).mean() < 0.5  # libraries may round differently
