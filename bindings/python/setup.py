"""Only what pyproject.toml cannot say: a wheel that carries the library fits one platform, and every Python 3 on it."""

import os

from setuptools import setup
from wheel.bdist_wheel import bdist_wheel

CARRIES = os.path.exists(os.path.join(os.path.dirname(os.path.abspath(__file__)), "tipcurrent", "_lib"))


class LibraryWheel(bdist_wheel):
    def finalize_options(self):
        super().finalize_options()
        self.root_is_pure = not CARRIES

    def get_tag(self):
        return ("py3", "none", super().get_tag()[2])


setup(cmdclass={"bdist_wheel": LibraryWheel})
