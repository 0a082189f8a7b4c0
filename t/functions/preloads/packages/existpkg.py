# what no trial finds: it is not the function that imports this
HERE = True
try:
    raise LookupError
except LookupError as error:
    frame = error.__traceback__.tb_frame
while frame:
    if frame.f_code.co_filename.endswith("_usetl/preload.py"):
        raise OSError("there is no function")
    frame = frame.f_back
del frame
