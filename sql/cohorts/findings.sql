-- question: which of several findings an image shows, all predicted by one model
-- one row: one image that is not declared lateral; a patient may have several
-- note: a label is a finding of the archive (1 present, 0 absent, -1 uncertain); in a phantom it is
-- what was planted: a nodule, the disease, a heart wider than half the chest; a label with several
-- different answers for an image is uncertain
-- parameter: $labels text = 'all'  names of findings, comma-separated; all: NIH's and CheXpert's
-- parameter: $absent text = 'unknown'  what a label without a row is: unknown, or false where the
-- archive lists only what is there (a table with a column of words), also in images without a row
-- target: findings labels uncertain=ignore unknown=ignore least=10
-- made of: findings
-- example: xray-mining cohort findings --param absent=false
with
-- step: files that are there, one of each exposure
present as (
    select image_key, archive, patient_source, view_position
    from eligible
),

-- step: with a patient id
identified as (
    select image_key, archive, view_position
    from present
    where patient_source != 'none'
),

-- step: frontal, or of unknown view
not_lateral as (
    select image_key, archive
    from identified
    where
        (view_position is null or view_position in ('PA', 'AP'))
        and if(
            $absent in ('unknown', 'false'),
            true,
            error('absent must be unknown or false')
        )
),

-- step: with an answer to one of the labels
answered as (
    with
    wanted as (
        select unnest(
            if(
                $labels = 'all',
                [
                    'atelectasis', 'cardiomegaly', 'consolidation', 'edema', 'effusion',
                    'emphysema', 'enlarged_cardiomediastinum', 'fibrosis', 'fracture', 'hernia',
                    'infiltration', 'lung_lesion', 'lung_opacity', 'mass', 'nodule',
                    'pleural_effusion', 'pleural_other', 'pleural_thickening', 'pneumonia',
                    'pneumothorax', 'disease'
                ],
                list_transform(string_split($labels, ','), lambda name: trim(name))
            )
        ) as name
    ),

    stated as (
        select image_key, name, value
        from image_findings
        where value in (1, 0, -1) and source != 'phantom_truth'
        union all by name
        select
            image_key,
            case name
                when 'nodule_count' then 'nodule'
                when 'disease_group' then 'disease'
                else 'cardiomegaly'
            end as name,
            case name
                when 'nodule_count' then value > 0
                when 'disease_group' then label = 'diseased'
                else value > 0.5
            end::double as value
        from image_findings
        where
            source = 'phantom_truth'
            and name in ('nodule_count', 'disease_group', 'cardiothoracic_ratio')
    ),

    by_image as (
        select
            not_lateral.image_key,
            not_lateral.archive,
            stated.name,
            if(min(stated.value) = max(stated.value), min(stated.value), -1.0) as value
        from not_lateral
        inner join stated on not_lateral.image_key = stated.image_key
        group by not_lateral.image_key, not_lateral.archive, stated.name
    ),

    known as (
        select distinct name
        from by_image
    ),

    misspelt as (
        select string_agg(wanted.name, ', ' order by wanted.name) as names
        from wanted
        anti join known on wanted.name = known.name
    ),

    labels as (
        select known.name
        from known
        semi join wanted on known.name = wanted.name
    ),

    asked as (
        select by_image.image_key
        from by_image
        where
            if(
                $labels = 'all' or (select misspelt.names from misspelt) is null,
                true,
                error(
                    'labels: ''' || (select misspelt.names from misspelt)
                    || ''' is no finding of these images; known are '
                    || (select string_agg(known.name, ', ' order by known.name) from known)
                )
            )
        union
        -- An archive that never names one of the labels did not look for them.
        select not_lateral.image_key
        from not_lateral
        where
            $absent = 'false'
            and not_lateral.archive in (
                select by_image.archive
                from by_image
                semi join labels on by_image.name = labels.name
            )
    )

    select
        images.image_key,
        map_from_entries(
            list(
                (labels.name, coalesce(given.value, if($absent = 'false', 0.0, null)))
                order by labels.name
            )
        ) as findings
    from asked as images
    cross join labels
    left join by_image as given
        on images.image_key = given.image_key and labels.name = given.name
    group by images.image_key
)

select image_key, findings
from answered
