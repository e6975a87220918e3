"""The words of a model with a `tokenizer.json`: its tokenizer, Jinja chat template and fill-in-the-middle form.

Knows how the pieces of a prepared folder fit together; `profile.load_profile` calls it for this kind of vocabulary.
"""

from pathlib import Path

from tramontane.adapters.servers.completion.fim import fim_format
from tramontane.adapters.servers.completion.profile import TEMPLATE_FILE, ProfileFile, Words
from tramontane.adapters.servers.completion.template import ChatTemplate, SpecialNames
from tramontane.adapters.servers.completion.tokenizer import FastTokenizer
from tramontane.foundation.errors import Misconfigured


def load(folder: Path, file: ProfileFile) -> Words:
    """Read tokenizer and template. Raises Misconfigured naming the file that is missing or malformed."""
    tokenizer = FastTokenizer.from_file(folder / file.vocabulary_file, file.bos_id)
    chat = None
    if file.template is not None:
        try:
            source = (folder / TEMPLATE_FILE).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise Misconfigured(f"{TEMPLATE_FILE} is not readable ({error}); prepare the model again") from error
        chat = ChatTemplate(source, tokenizer, SpecialNames(file.bos, file.eos), file.template)
        chat.start()
    return Words(tokenizer, chat, fim_format(tokenizer, tokenizer.added_ids))
