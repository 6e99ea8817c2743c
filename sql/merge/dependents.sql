-- question: rows that refer to kept images: pixels, findings, boxes, unused masks, duplicates, runs
-- one row: as in each record
-- example: run by `xray-mining merge`

-- a part holds an image once, so archive and shard separate rows of the kept file and its copies
insert into pixels by name
select raw_pixels.* exclude (part_archive, part_shard)
from raw_pixels
semi join images
    on
        raw_pixels.image_key = images.image_key
        and raw_pixels.archive = images.archive
        and raw_pixels.shard = images.shard;

insert into findings by name
select raw_findings.* exclude (part_archive, part_shard)
from raw_findings
semi join images
    on
        raw_findings.image_key = images.image_key
        and raw_findings.part_archive = images.archive
        and raw_findings.part_shard = images.shard;

-- findings of a study or patient
insert into findings by name
select * exclude (part_archive, part_shard)
from raw_findings
where image_key is null;

-- findings of an image that a linked table names by its file: they are in no archive's parts
insert into findings by name
select raw_findings.* exclude (part_archive, part_shard)
from raw_findings
semi join images on raw_findings.image_key = images.image_key
where raw_findings.part_archive = '_links';

insert into boxes by name
select raw_boxes.* exclude (part_archive, part_shard)
from raw_boxes
semi join images
    on
        raw_boxes.image_key = images.image_key
        and raw_boxes.part_archive = images.archive
        and raw_boxes.part_shard = images.shard;

insert into mask_faults by name
select raw_mask_faults.* exclude (part_archive, part_shard)
from raw_mask_faults
semi join images
    on
        raw_mask_faults.image_key = images.image_key
        and raw_mask_faults.archive = images.archive
        and raw_mask_faults.shard = images.shard;

insert into near_duplicates by name
select
    least(pairs.image_key_a, pairs.image_key_b) as image_key_a,
    greatest(pairs.image_key_a, pairs.image_key_b) as image_key_b,
    min(pairs.distance) as distance,
    max(pairs.correlation) as correlation
from raw_near_duplicates as pairs
semi join images as first_images on pairs.image_key_a = first_images.image_key
semi join images as second_images on pairs.image_key_b = second_images.image_key
where pairs.image_key_a != pairs.image_key_b
group by all;

insert into file_events by name
select * from raw_file_events;

insert into ingest_runs by name
select * from raw_ingest_runs;

insert into unread_cells by name
select * from raw_unread_cells;
