"""Choose and locate the model pack."""

from collections.abc import Callable

from facesets.assembly.notices import Notices
from facesets.errors import (
    AlreadyRunning,
    CannotWrite,
    Command,
    FacesetsError,
    Field,
    MissingModelPack,
    RecognizerMismatch,
    Sentence,
)
from facesets.files import printable
from facesets.inference.catalog import CONVERTED, PUBLISHED
from facesets.inference.packs import DEFAULT_PACK, ModelPack, find_pack, usual_pack
from facesets.operations.models.known_packs import FILE_NAME, is_pack_of, recall_pack, remember_pack
from facesets.records import CacheSettings
from facesets.settings import Settings
from facesets.work import Work


def get_pack(
    name: str,
    settings: Settings,
    notices: Notices,
    work: Work,
    *,
    known: CacheSettings | None = None,
    fetch: bool = True,
    is_named: bool = False,
) -> ModelPack:
    """Find a pack; download a missing published one, with a notice, unless `fetch` is off.

    This machine remembers the path of a pack that was named by its path, unless `fetch` is off.

    Parameters
    ----------
    known : CacheSettings, optional
        Settings of the data to work on: its pack is found at its last location.
    is_named : bool
        Whether the user named the pack in the call; else a notice reports a pack that no setting names.

    Raises
    ------
    MissingModelPack
        It is not installed and cannot be downloaded.
    """
    of_store = known is not None and name == known.pack
    if known is not None and of_store:
        pack = _pack_of(known, settings, notices)
    else:
        pack = _pack_by_name(name, settings, notices)
    if pack is None:
        pack = _fetched(name, settings, work, fetch=fetch)
    if known is not None and of_store and not is_named:
        _report_ignored_setting(known, settings, notices)
    if not of_store and not (known is not None and pack.note and is_pack_of(pack, known)):
        _announce_pack(name, pack, settings, notices, is_named=is_named)
    if fetch and not any(pack.path.is_relative_to(root.absolute()) for root in settings.model_roots):
        try:
            remember_pack(settings.state_dir / FILE_NAME, pack)
        except (CannotWrite, AlreadyRunning) as error:
            # Without it, later commands need --pack again.
            work.progress.say(error.sentence)
    return pack


def pack_to_begin_with(
    settings: Settings, notices: Notices, work: Work, *, agrees: Callable[[str], bool] = lambda _reason: True
) -> ModelPack:
    """Return the pack for a new store if none is named; errors as `get_pack`.

    This is the open pack, with a notice, if the default is not installed and cannot be downloaded.

    Parameters
    ----------
    agrees : function
        Whether to use the open pack, given why the default is unavailable.
    """
    name = usual_pack(settings.pack, settings.model_roots)
    if settings.pack or name != DEFAULT_PACK or _pack_by_name(name, settings, notices) is not None:
        return get_pack(name, settings, notices, work)
    # What fetching needs takes a tenth of a second to import.
    from facesets.operations.models.pull import fetch_or_open

    def agrees_told(reason: str) -> bool:
        if not agrees(reason):
            return False
        notices.notice(Sentence(f"Using the open pack because {name} cannot be downloaded now. ({reason})"))
        return True

    taken = fetch_or_open(name, settings.model_roots, agrees=agrees_told, work=work)
    if taken.note:
        notices.remark_once(taken.note, automatic=True)
    return find_pack(taken.path, ())


def _report_ignored_setting(known: CacheSettings, settings: Settings, notices: Notices) -> None:
    """Report that the pack of the settings is not used, because the faces come from another one."""
    if not settings.pack or settings.pack == known.pack:
        return
    try:
        of_settings = _pack_by_name(settings.pack, settings, notices)
    except FacesetsError:
        # It is not used, so that what is wrong with it does not matter.
        of_settings = None
    if of_settings is None or not is_pack_of(of_settings, known):
        notices.remark_once(
            f"Using the model pack {printable(known.pack)}, which the faces come from. The setting "
            f"`pack` ({printable(settings.pack)}) is ignored: it is only for new libraries and caches.",
            automatic=True,
        )


def how_to_change_pack() -> Sentence:
    """Return how to switch a library to the default pack."""
    empty = Command(
        "db psql", "-c", "DELETE FROM images; DELETE FROM persons; DELETE FROM person_corrections"
    )
    again = Command("index", "PHOTOS", Field("pack", DEFAULT_PACK))
    return Sentence(
        f"To switch to {DEFAULT_PACK} while the library is small, delete all faces and names with "
        f"{empty}, then run {again}."
    )


def refuse_to_fetch_another(
    name: str | None, known: CacheSettings | None, settings: Settings, place: str
) -> None:
    """Refuse to download a published pack that does not match a store.

    An installed pack is compared by its models instead, when they are read.

    Raises
    ------
    RecognizerMismatch
        The pack would be refused after the download.
    """
    if name is None or known is None or name == known.pack or not (name in PUBLISHED or name in CONVERTED):
        return
    try:
        find_pack(name, settings.model_roots)
    except MissingModelPack as missing:
        raise RecognizerMismatch(
            f"The faces of {place} come from the pack {printable(known.pack)}, so {name} is not "
            f"downloaded. Remove {Field('pack')}."
        ) from missing


def _announce_pack(
    name: str, pack: ModelPack, settings: Settings, notices: Notices, *, is_named: bool
) -> None:
    """Report a pack that was neither named nor the default, and its note."""
    is_usual = name != DEFAULT_PACK and name == usual_pack("", settings.model_roots)
    automatic = is_usual and not (is_named or settings.pack)
    if automatic:
        reason = f"it is installed, {DEFAULT_PACK} is not"
        notices.remark_once(
            f"Using the model pack {name}: {reason}. To use another, give {Field('pack')}.", automatic=True
        )
    if pack.note:
        notices.remark_once(pack.note, automatic=automatic)


def _pack_of(known: CacheSettings, settings: Settings, notices: Notices) -> ModelPack | None:
    """Find the pack of some faces: by name, by last location, or by settings."""
    named = _pack_by_name(known.pack, settings, notices)
    if named is not None and is_pack_of(named, known):
        return named
    recalled = recall_pack(settings.state_dir / FILE_NAME, known)
    if recalled is not None or not settings.pack or settings.pack == known.pack:
        return recalled or named
    of_settings = _pack_by_name(settings.pack, settings, notices)
    return of_settings if of_settings is not None and is_pack_of(of_settings, known) else named


def _pack_by_name(name: str, settings: Settings, notices: Notices) -> ModelPack | None:
    try:
        found = find_pack(name, settings.model_roots)
    except MissingModelPack:
        return None
    notices.detail(f"Models: {printable(found.path)}")
    return found


def _fetched(name: str, settings: Settings, work: Work, *, fetch: bool) -> ModelPack:
    if not fetch or (name not in PUBLISHED and name not in CONVERTED):
        return find_pack(name, settings.model_roots)
    # What fetching needs takes a tenth of a second to import.
    from facesets.operations.models.pull import both_ways, pull

    try:
        return find_pack(pull(name, settings.model_roots, work=work).path, ())
    except FacesetsError as error:
        if work.stop.requested or name not in PUBLISHED:
            raise
        raise MissingModelPack(f"{both_ways(name, settings.model_roots)} ({error})") from error
