#!/usr/bin/python3
"""Checks the Yocto layer without bitbake: lint_recipes.py [FOLDER]. What it knows of OpenEmbedded are the names that our recipes use, each looked up once
by hand; what is ours (CMake options, units, extensions, licence, variables) is read from the sources, so that a recipe cannot fall behind them.
"""
from __future__ import annotations

import hashlib
import pathlib
import re
import subprocess
import sys
import tempfile

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
SERIES = "scarthgap"
CLASSES = {"allarch", "cmake", "core-image", "deploy", "externalsrc", "nopackages", "systemd", "useradd"}
LAYERS = {"core", "openembedded-layer"}
# Recipes and packages of these two layers, in that series.
NAMES = {"boost", "ca-certificates", "cli11", "curl", "fmt", "kernel-devicetree", "kernel-image", "libarchive", "openssl", "packagegroup-core-boot", "sqlite3",
         "swupdate", "u-boot-tools-native", "util-linux-runuser", "zlib", "zstd"}
COMMON_LICENSES = {"Apache-2.0": "89aea4e17d99a7cacdbeed46a0096b10"}
WIC_SOURCES = {"bootimg-efi", "bootimg-partition", "rawcopy", "rootfs"}
OLD_SYNTAX = re.compile(r"^\s*[A-Z][A-Z_]*_(append|prepend|remove|\$\{PN\})(?![A-Za-z0-9]).*=", re.M)
EXPANSION = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_-]*)\}")


class Findings(list):
    def add(self, path: pathlib.Path, text: str) -> None:
        self.append(f"{path}: {text}")


def joined(text: str) -> str:
    """Without comments and line ends inside a value."""
    return re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", text, flags=re.M))


class Recipe:
    """A .bb, .bbappend or .bbclass: its assignments, tasks and inherits, as text; nothing is expanded."""

    def __init__(self, path: pathlib.Path):
        self.path, self.text = path, joined(path.read_text())
        self.name = path.stem.split("_")[0]
        self.version = path.stem.split("_")[1] if "_" in path.stem else ""
        self.values: dict[str, str] = {}
        for name, value in re.findall(r'^([A-Z][\w:.${}\[\]-]*)\s*(?:\?\?=|\?=|:=|\+=|\.=|=\+|=\.|=)\s*"(.*?)"\s*$', self.text, re.M):
            self.values[name] = self.values.get(name, "") + " " + value
        self.inherits = " ".join(re.findall(r"^inherit (.*)$", self.text, re.M)).split()
        self.shell = dict(re.findall(r"^((?:do_)?\w+)(?::\w+)*\s*\(\)\s*\{\n(.*?)^\}", self.text, re.M | re.S))
        self.shell.pop("python", None)  # python () { ... }, which has no name
        self.python = dict(re.findall(r"^python (\w*)\s*\(\)\s*\{\n(.*?)^\}", self.text, re.M | re.S))

    def words(self, *names: str) -> list[str]:
        """The plain words of these variables, with or without a package behind a colon."""
        found = []
        for name, value in self.values.items():
            if name.split(":")[0] in names:
                found += [word for word in re.sub(r"\$\{@.*?\}(?=\s|$)", "", value).split() if "$" not in word]
        return found


class Layer:
    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        self.conf = folder / "conf" / "layer.conf"
        self.recipes = [Recipe(path) for path in sorted(folder.glob("recipes-*/*/*.bb"))]
        self.appends = [Recipe(path) for path in sorted(folder.glob("recipes-*/*/*.bbappend"))]
        self.classes = {path.stem: Recipe(path) for path in sorted(folder.glob("classes/*.bbclass"))}
        self.variables = set(re.findall(r"^(GODWIT_\w+)\s*[?:]*=", "\n".join(part.text for part in self.parts()) + "\n" + self.conf.read_text(), re.M))
        self.packages = {recipe.name for recipe in self.recipes}
        for recipe in self.recipes:
            self.packages.update("godwit-" + name for name in recipe.values.get("GODWIT_EXTENSIONS", "").split())

    def parts(self) -> list[Recipe]:
        return [*self.recipes, *self.appends, *self.classes.values()]


# --- what our sources have ----------------------------------------------------------------------------------------


def cmake_text() -> str:
    files = [ROOT / "CMakeLists.txt", *sorted((ROOT / "cmake").glob("*.cmake")), *(path for part in ("src", "apps", "extensions", "packaging", "include")
             for path in sorted((ROOT / part).rglob("CMakeLists.txt")))]
    return "\n".join(path.read_text() for path in files)


def cmake_options(text: str) -> set[str]:
    return set(re.findall(r"^\s*option\((\w+)", text, re.M)) | set(re.findall(r"^\s*set\((\w+) .*CACHE", text, re.M)) | set(re.findall(r"find_\w+\((GODWIT_\w+)", text))


# --- the checks ------------------------------------------------------------------------------------------------------


def check_conf(layer: Layer, findings: Findings) -> None:
    text = layer.conf.read_text()
    name = re.search(r'^BBFILE_COLLECTIONS \+= "(\S+)"', text, re.M)
    if not name:
        findings.add(layer.conf, "BBFILE_COLLECTIONS names no layer")
        return
    for wanted in ("BBFILE_PATTERN", "BBFILE_PRIORITY", "LAYERVERSION", "LAYERDEPENDS", "LAYERSERIES_COMPAT"):
        if not re.search(rf"^{wanted}_{name.group(1)} = ", text, re.M):
            findings.add(layer.conf, f"{wanted}_{name.group(1)} is missing")
    if SERIES not in (re.search(r'^LAYERSERIES_COMPAT_\w+ = "(.*)"', text, re.M) or [""])[0]:
        findings.add(layer.conf, f"LAYERSERIES_COMPAT does not name {SERIES}")
    for one in (re.search(r'^LAYERDEPENDS_\w+ = "(.*)"', text, re.M) or ["", ""])[1].split():
        if one not in LAYERS:
            findings.add(layer.conf, f"depends on the layer {one}, which this linter does not know")


def check_head(recipe: Recipe, findings: Findings) -> None:
    is_image = "core-image" in recipe.inherits
    for wanted in ("SUMMARY", "LICENSE") if is_image else ("SUMMARY", "LICENSE", "LIC_FILES_CHKSUM"):
        if not recipe.values.get(wanted, "").strip():
            findings.add(recipe.path, f"{wanted} is missing")
    for place, digest in re.findall(r"file://(\S+?);md5=([0-9a-f]*)", recipe.values.get("LIC_FILES_CHKSUM", "")):
        known = None
        if place.startswith("${COMMON_LICENSE_DIR}/"):
            known = COMMON_LICENSES.get(place.split("/")[1])
        elif "externalsrc" in recipe.inherits and (ROOT / place).is_file():
            known = hashlib.md5((ROOT / place).read_bytes()).hexdigest()
        elif ".deb;" in recipe.values.get("SRC_URI", "") and re.fullmatch("[0-9a-f]{32}", digest):
            known = digest  # inside what is fetched; its sha256 stands for it
        if known != digest:
            findings.add(recipe.path, f"the md5 of {place} is {known or 'not known'}, not {digest or 'empty'}")


def check_sources(recipe: Recipe, findings: Findings) -> None:
    words = recipe.values.get("SRC_URI", "").split()
    for word in words:
        if word.startswith("file://"):
            name = word[7:].split(";")[0]
            if not any((recipe.path.parent / folder / name).exists() for folder in ("files", recipe.name, f"{recipe.name}-{recipe.version}")):
                findings.add(recipe.path, f"the source {name} is not there")
        else:
            name = re.search(r";name=(\w+)", word)
            key = f"SRC_URI[{name.group(1) + '.' if name else ''}sha256sum]"
            if not re.fullmatch("[0-9a-f]{64}", recipe.values.get(key, "").strip()):
                findings.add(recipe.path, f"{key} is missing")
    here = {path.name for path in (recipe.path.parent / "files").glob("*")} if (recipe.path.parent / "files").is_dir() else set()
    listed = {word[7:].split(";")[0] for other in recipe.path.parent.glob("*.bb") for word in joined(other.read_text()).split() for word in [word.strip('"')[word.strip('"').find("file://"):]]
              if word.startswith("file://")}
    for name in sorted(here - listed):
        findings.add(recipe.path, f"files/{name} belongs to no SRC_URI")


def check_names(layer: Layer, recipe: Recipe, findings: Findings) -> None:
    for name in recipe.inherits:
        if name not in CLASSES and name not in layer.classes:
            findings.add(recipe.path, f"inherits {name}, which this linter does not know")
    for name in recipe.words("DEPENDS", "RDEPENDS", "RRECOMMENDS", "IMAGE_INSTALL"):
        if name not in NAMES and name not in layer.packages:
            findings.add(recipe.path, f"names {name}, which is neither ours nor known from {', '.join(sorted(LAYERS))}")
    for old in OLD_SYNTAX.finditer(recipe.text):
        findings.add(recipe.path, f"\"{old.group(0).strip()}\" is the override syntax of before 2021: write a colon")
    for task in re.findall(r"^addtask (?:do_)?(\w+)", recipe.text, re.M):
        if f"do_{task}" not in recipe.shell and f"do_{task}" not in recipe.python:
            findings.add(recipe.path, f"addtask {task}, and there is no do_{task}")
    for name in sorted({name for name in EXPANSION.findall(recipe.text) if name.startswith("GODWIT_")} | set(re.findall(r"getVar\('(GODWIT_\w+)'\)", recipe.text))):
        if name not in layer.variables:
            findings.add(recipe.path, f"${{{name}}} is set nowhere in the layer")


def check_ours(layer: Layer, recipe: Recipe, cmake: str, findings: Findings) -> None:
    """Against the sources of this repository."""
    options = cmake_options(cmake)
    for name in re.findall(r"-D(\w+)[:=]", recipe.values.get("EXTRA_OECMAKE", "")):
        if name not in options and not name.startswith("CMAKE_"):
            findings.add(recipe.path, f"passes -D{name}, which no CMake file of ours reads")
    for target in recipe.values.get("OECMAKE_TARGET_COMPILE", "").split():
        if not re.search(rf"add_(custom_target|executable|library)\({target}\b", cmake):
            findings.add(recipe.path, f"builds the target {target}, which does not exist")
    for component in re.findall(r"--component (\w+)", recipe.text):
        if f"COMPONENT {component}" not in cmake:
            findings.add(recipe.path, f"installs the component {component}, which no install() names")
    if "GODWIT_EXTENSIONS" in recipe.values:
        ours, theirs = set(re.findall(r"^godwit_extension\(([\w-]+)", cmake, re.M)), set(recipe.values["GODWIT_EXTENSIONS"].split())
        for name in sorted(ours ^ theirs):
            findings.add(recipe.path, f"GODWIT_EXTENSIONS {'lacks' if name in ours else 'has'} {name}, which extensions/ {'builds' if name in ours else 'does not build'}")
    if "externalsrc" in recipe.inherits:
        version = re.search(r"^project\(godwit VERSION ([0-9.]+)", cmake, re.M).group(1)
        if recipe.version != version:
            findings.add(recipe.path, f"is of version {recipe.version}, the sources are {version}: rename it")
    install = recipe.shell.get("do_install", "")
    units = set(re.findall(r"[\w-]+\.(?:service|socket|mount)", install))
    for unit in sorted(units):
        if not any((folder / unit).exists() for folder in (ROOT / "packaging" / "systemd", recipe.path.parent / "files")):
            findings.add(recipe.path, f"installs the unit {unit}, which is neither in packaging/systemd nor in files/")
    for unit in recipe.words("SYSTEMD_SERVICE"):
        if unit not in units:
            findings.add(recipe.path, f"enables {unit}, which it does not install")
    for path in re.findall(r"\$\{S\}/(packaging/\S+?)(?=[\s/]*(?:\$unit)?\s)", install):
        if "$" not in path and not (ROOT / path).exists():
            findings.add(recipe.path, f"installs {path}, which does not exist")


def check_words(recipe: Recipe, findings: Findings) -> None:
    """@@WORDS@@ of the .in files, and what fills them in."""
    filled = set(re.findall(r"s,@@(\w+)@@,", recipe.text))
    wanted: set[str] = set()
    for name in re.findall(r"file://(\S+\.in)", recipe.values.get("SRC_URI", "")):
        for folder in ("files", recipe.name):
            if (file := recipe.path.parent / folder / name).exists():
                wanted |= set(re.findall(r"@@(\w+)@@", file.read_text()))
    for name in sorted(filled ^ wanted):
        findings.add(recipe.path, f"@@{name}@@ is {'not filled in' if name in wanted else 'filled in, but in no file'}")


def check_shell(recipe: Recipe, findings: Findings) -> None:
    """Tasks with expansions made plain, and scripts that a device runs, by shellcheck."""
    for name, body in recipe.shell.items():
        body = re.sub(r"\$\{@.*?\}", "x", body)
        body = EXPANSION.sub(lambda match: "/x/" + match.group(1), body)
        judged = subprocess.run(["shellcheck", "--shell=sh", "--severity=warning", "--exclude=SC2050,SC2239", "--format=gcc", "-"], input="#!/bin/sh\n" + body, capture_output=True, text=True)
        for line in judged.stdout.splitlines():
            findings.add(recipe.path, f"{name}: {line.split(':', 2)[2].strip()}")


def check_scripts(layer: Layer, findings: Findings) -> None:
    for path in sorted(layer.folder.glob("recipes-*/*/files/*")):
        if path.read_bytes().startswith(b"#!/bin/sh"):
            judged = subprocess.run(["shellcheck", "--format=gcc", str(path)], capture_output=True, text=True)
            for line in judged.stdout.splitlines():
                findings.add(path, line.split(":", 1)[1])
    for path in sorted(layer.folder.glob("wic/*grub*.cfg")):
        judged = subprocess.run(["grub-script-check", str(path)], capture_output=True, text=True)
        if judged.returncode:
            findings.add(path, judged.stderr.strip())


def check_units(layer: Layer, findings: Findings) -> None:
    """systemd's own judgement, with programs in the place of those that a device has."""
    with tempfile.TemporaryDirectory() as name:
        place = pathlib.Path(name)
        for path in [*layer.folder.glob("recipes-*/*/files/*.service"), *layer.folder.glob("recipes-*/*/files/*.mount")]:
            (place / path.name).write_text(re.sub(r"^(Exec\w+=)\S+", r"\1/bin/true", path.read_text(), flags=re.M))
        units = sorted(place.iterdir())
        judged = subprocess.run(["systemd-analyze", "verify", "--man=no", *map(str, units)], capture_output=True, text=True) if units else None
        for line in judged.stderr.splitlines() if judged else []:
            if any(unit.name in line for unit in units):
                findings.add(layer.folder, line.replace(name + "/", ""))


def check_wic(layer: Layer, findings: Findings) -> None:
    for path in sorted(layer.folder.glob("wic/*.wks.in")):
        text = joined(path.read_text())
        parts = re.findall(r"^part .*$", text, re.M)
        if not re.search(r"^bootloader .*--ptable (gpt|msdos)", text, re.M):
            findings.add(path, "bootloader names no --ptable")
        if len(parts) != 5 or len({re.search(r"--ondisk (\w+)", part).group(1) for part in parts if "--ondisk" in part}) != 1:
            findings.add(path, "five partitions on one disk are expected: boot, state, A, B, data")
            continue
        for part in parts:
            if (source := re.search(r"--source (\S+)", part)) and source.group(1) not in WIC_SOURCES:
                findings.add(path, f"{source.group(1)} is no source of wic that this linter knows")
        sizes = [re.search(r"--fixed-size (\S+)", part) for part in parts[2:4]]
        if any(size is None or size.group(1) != "${GODWIT_SIDE_MB}M" for size in sizes):
            findings.add(path, "the sides A and B are not both of ${GODWIT_SIDE_MB}M")
        if ".ext4" not in parts[2] or "--source" in parts[3]:
            findings.add(path, "side A holds the image and side B nothing")
        for name in EXPANSION.findall(text):
            if name.startswith("GODWIT_") and name not in layer.variables:
                findings.add(path, f"${{{name}}} is set nowhere in the layer")
        if (config := re.search(r'--configfile="(.*?)"', text)) and not (path.parent / config.group(1)).exists():
            findings.add(path, f"{config.group(1)} is not there")


def check_kas(layer: Layer, path: pathlib.Path, findings: Findings) -> None:
    try:
        words = yaml.safe_load(path.read_text())
    except yaml.YAMLError as problem:
        findings.add(path, f"is no YAML: {problem}")
        return
    if words.get("header", {}).get("version", 0) < 14:
        findings.add(path, "header.version is below 14")
    images = {recipe.name for recipe in layer.recipes if "core-image" in recipe.inherits}
    if words.get("target") not in images:
        findings.add(path, f"target {words.get('target')} is no image of the layer")
    for name, repo in words.get("repos", {}).items():
        if "url" in repo and repo.get("branch") != SERIES and not repo.get("commit"):
            findings.add(path, f"{name} follows neither {SERIES} nor a commit")
        for place in repo.get("layers") or {}:
            if "url" not in repo and not (ROOT / place / "conf" / "layer.conf").exists():
                findings.add(path, f"{place} is no layer")
    local = "\n".join(words.get("local_conf_header", {}).values())
    for name in re.findall(r"^(GODWIT_\w+)", local, re.M):
        if name not in layer.variables:
            findings.add(path, f"{name} is set nowhere in the layer, so nothing reads it")
    wks = re.search(r'^WKS_FILE = "(.*)"', local, re.M)
    if wks and not (layer.folder / "wic" / wks.group(1)).exists():
        findings.add(path, f"{wks.group(1)} is not there")
    if wks and "msdos" in wks.group(1) and not re.search(r'^GODWIT_PART_B = "5"', local, re.M):
        findings.add(path, "with an old partition table B is partition 5, since 4 holds the logical ones")


def lint(folder: pathlib.Path, boards: pathlib.Path | None) -> Findings:
    layer, findings, cmake = Layer(folder), Findings(), cmake_text()
    check_conf(layer, findings)
    for recipe in layer.recipes:
        check_head(recipe, findings)
        check_sources(recipe, findings)
    for recipe in layer.parts():
        check_names(layer, recipe, findings)
        check_ours(layer, recipe, cmake, findings)
        check_words(recipe, findings)
        check_shell(recipe, findings)
    check_scripts(layer, findings)
    check_units(layer, findings)
    check_wic(layer, findings)
    for path in sorted(boards.glob("*.yml")) if boards else []:
        check_kas(layer, path, findings)
    return findings


def main() -> int:
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "images" / "yocto" / "meta-godwit"
    findings = lint(folder, folder.parents[1] / "raspberrypi")
    print("\n".join(findings) or f"{folder.name}: nothing to mend")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
