"""What to do about each reason for which files are rejected."""

# Advice by reason; the advice for the most frequent reason is printed.
HINTS = {
    "not_dicom": "Some files are not DICOM; an image folder with a table needs --mapping.",
    "not_chest": "Pictures of other parts of the body, or captures that do not say what they show, were left out.",
    "not_radiograph": "The archive holds other modalities; point ingest at the radiographs to save their reading.",
    "not_an_image": "Reports, plans and other objects are among the radiographs; nothing needs to be done.",
    "no_pixels": "Headers came without pixel data: ask the archive's export for whole objects, then --again.",
    "empty_file": "Empty files are a broken copy: copy them again, then run with --again.",
    "broken_package": "Packed files are damaged or encrypted: copy or unpack them anew, then run with --again.",
    "nested_package": "Packed files within packed files are not read: unpack the outer ones, then run again.",
    "broken_member": "Members of packed files are damaged or encrypted: unpack or copy them anew, then --again.",
    "truncated_pixels": "Files were cut off: copy them again, then run with --again.",
    "undecodable": "No decoder reads these pixel data; try pip install 'xray-mining[decoders]', then --again.",
    "unknown_syntax": "No decoder knows their transfer syntax; convert them (dcmconv, gdcmconv), then --again.",
    "unreadable": "This user may not read the files, or the disk reports errors: correct that, then run again; "
    "for disk errors run with --again.",
    "gone": "Files were removed before they were read; once they are back, run again.",
    "crash": "A decoder ended its process on these files; they are named below, the rest is complete.",
    "hangs": "A decoder did not return from these files; they are named below, the rest is complete.",
    "changed": "Files changed since they were read; run with --again to read them anew.",
    "uid_reused": "Different pictures carry one SOPInstanceUID; ask the sender, the first of each was kept.",
    "ambiguous_row": "Several files or rows have one name: write the files' paths into the table, or name the images' "
    "folder in the mapping.",
    "broken_row": "Rows of the table have more cells than columns, or unmatched quotes: correct them in the table.",
    "linked_folder": "Links to folders are not followed: read the folders they lead to, or mount them in their place.",
    "not_in_table": "Images without a row in the table were left out; add their rows, then run with --again.",
    "size_mismatch": "Headers and pixel data state different sizes; the sender's export is at fault.",
    "length_mismatch": "Pixel data are shorter or longer than their headers state, and nothing says which is right: "
    "copy or export the files again, then run with --again.",
    "samples_mismatch": "Headers and pixel data state different colours, and nothing says which is right; the sender's "
    "export is at fault.",
    "unencapsulated": "Headers state a compressed transfer syntax, the pixel data are raw and of another length: "
    "export the files again, then run with --again.",
    "unsupported_bits": "Their values have other bits than 8 or 16, or fractions; convert them, then run with --again.",
    "unsupported_samples": "Their pixels have 2, or more than 3, values each; convert them to grey, then --again.",
    "too_large": "They are larger than any film, or grow too much when unpacked; convert them if they are radiographs.",
    "too_small": "Pictures of a few pixels, such as icons, are among the radiographs; nothing needs to be done.",
    "not_a_file": "Pipes, devices and dangling links are among the files; correct the links, then run again.",
    "dicomdir": "DICOMDIR files are among the radiographs; they only list them, and nothing needs to be done.",
    "broken_header": "Headers are damaged: copy the files again, then run with --again.",
    "unexpected": "The log in the private folder has the error; please report it with a file that may be shared.",
}
