"""pillow - an image is made, turned, blurred, made smaller, and written.

Event: {"width": N}.  The result's "check" is of the pixels, the same wherever
it runs.
"""

import io
import zlib

from PIL import Image, ImageDraw, ImageFilter

Image.preinit()     # its formats, otherwise loaded with the first image


def drawn(width):
    image = Image.linear_gradient("L").resize((width, width))
    image = Image.merge("RGB", (image, image.rotate(90), image.rotate(180)))
    draw = ImageDraw.Draw(image)
    for x in range(0, width, 32):
        draw.ellipse((x, x, width - x, width - x // 2), outline=(x & 255, 9,
                                                                 255))
    return image


def handler(event, context=None):
    image = drawn(event["width"])
    image = image.rotate(30).filter(ImageFilter.GaussianBlur(2))
    image = image.resize((event["width"] // 4,) * 2, Image.LANCZOS)
    out = io.BytesIO()
    image.save(out, "JPEG")
    return {"check": zlib.crc32(image.tobytes()), "jpeg": out.tell() > 0}
