"""The one compiled part: the media port's packet loop. Optional: where no compiler is, Python does the same."""

from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension(
            "signaling.rtc._batch",
            ["signaling/rtc/_batch.c"],
            libraries=["m", "dl"],
            extra_compile_args=["-std=gnu11", "-Wall", "-Wextra", "-fno-strict-aliasing"],
            optional=True,
        )
    ]
)
