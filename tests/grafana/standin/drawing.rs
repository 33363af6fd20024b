//! Pictures: by our own encoder, which writes the request into the picture, or by a real browser.

use std::path::Path;
use std::process::{Command, Stdio};

/// A picture of one colour with a text in it (`iTXt`).
pub fn picture(width: u32, height: u32, colour: [u8; 3], text: &str) -> Vec<u8> {
    drawn(width, height, text, |_, _| colour)
}

/// A curve of this colour, which is another one for each text, on a dark ground with a grid.
pub fn chart(width: u32, height: u32, colour: [u8; 3], text: &str) -> Vec<u8> {
    let seed = f64::from(text.bytes().fold(7_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into())) % 1000);
    let at = |x: u32| {
        let t = f64::from(x) / f64::from(width.max(1));
        0.5 + 0.25 * (t * 9.0 + seed).sin() + 0.12 * (t * 31.0 + seed * 2.0).sin()
    };
    let line = f64::from(height) / 150.0;
    drawn(width, height, text, |x, y| {
        let above = f64::from(y) - f64::from(height) * at(x);
        match above {
            _ if above.abs() <= line.max(1.0) => colour.map(|part| part.max(90)),
            _ if x % (width / 8).max(1) == 0 || y % (height / 5).max(1) == 0 => [44, 46, 51],
            _ if above > 0.0 => colour.map(|part| 17 + part / 8),
            _ => [17, 18, 23],
        }
    })
}

fn drawn(width: u32, height: u32, text: &str, pixel: impl Fn(u32, u32) -> [u8; 3]) -> Vec<u8> {
    let mut png = Vec::new();
    let mut encoder = png::Encoder::new(&mut png, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    encoder.add_itxt_chunk("request".to_owned(), text.to_owned()).unwrap();
    let mut writer = encoder.write_header().unwrap();
    let pixels: Vec<u8> =
        (0..height).flat_map(|y| (0..width).map(move |x| (x, y))).flat_map(|(x, y)| pixel(x, y)).collect();
    writer.write_image_data(&pixels).unwrap();
    writer.finish().unwrap();
    png
}

/// The request that our encoder wrote into a picture.
pub fn request_in(png: &[u8]) -> Option<String> {
    let reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().ok()?;
    reader.info().utf8_text.iter().find(|chunk| chunk.keyword == "request").and_then(|chunk| chunk.get_text().ok())
}

/// Size and pixels as RGB.
pub fn pixels(png: &[u8]) -> (u32, u32, Vec<[u8; 3]>) {
    let mut decoder = png::Decoder::new(std::io::Cursor::new(png));
    decoder.set_transformations(png::Transformations::EXPAND | png::Transformations::STRIP_16);
    let mut reader = decoder.read_info().unwrap();
    let mut buffer = vec![0; reader.output_buffer_size().unwrap()];
    let frame = reader.next_frame(&mut buffer).unwrap();
    let channels = frame.color_type.samples();
    let pixels = buffer[..frame.buffer_size()].chunks(channels);
    (frame.width, frame.height, pixels.map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect())
}

/// Debian's chromium, or what CHROMIUM names.
pub fn browser() -> Option<std::path::PathBuf> {
    let named = std::env::var_os("CHROMIUM").map(std::path::PathBuf::from);
    let usual = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
    named.into_iter().chain(usual.map(Into::into)).find(|path| path.is_file())
}

/// Facts 4: `TZ=` is honoured, the scale factor too.
pub fn by_browser(browser: &Path, url: &str, size: (u32, u32), scale: &str, zone: Option<&str>) -> Vec<u8> {
    let directory = std::env::temp_dir().join(format!("grafana-standin-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    static COUNT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    let shot = directory.join(format!("{number}.png"));
    let mut command = Command::new(browser);
    command
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run"])
        .arg("--disable-dev-shm-usage")
        .arg(format!("--user-data-dir={}", directory.join(format!("profile-{number}")).display()))
        .arg(format!("--screenshot={}", shot.display()))
        .arg(format!("--window-size={},{}", size.0, size.1))
        .arg(format!("--force-device-scale-factor={scale}"))
        .arg(url)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if let Some(zone) = zone {
        command.env("TZ", zone);
    }
    let status = command.status().unwrap();
    let png = std::fs::read(&shot).unwrap_or_else(|err| panic!("{browser:?} ended with {status}: {err}"));
    let _ = std::fs::remove_dir_all(directory.join(format!("profile-{number}")));
    let _ = std::fs::remove_file(&shot);
    png
}
